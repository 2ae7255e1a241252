"""Skipscope's public API: sweep a diffusion UNet, find and validate a skip policy, apply it to a pipeline.

The names in `__all__` are stable under semantic versioning; everything in `compute`, `store` and `dashboard` that is
not reachable from them may change in any release. A name is imported when it is first used, so `import skipscope` and
the names that only read files load neither torch nor Ray.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compute.analysis.phases.phase_evidence import phases_of
    from compute.config.loading import load_config
    from compute.config.schema import SweepConfig
    from compute.models.glide.respacing import respaced_timesteps
    from compute.models.loading import load_model
    from compute.pipeline import methods
    from compute.pipeline.applied import applied
    from compute.pipeline.set_sampler import set_sampler
    from compute.policy.bench_report import BenchReport
    from compute.policy.skip_policy import SkipPolicy
    from compute.recommend.find_policy import recommend, validate
    from compute.recommend.fitted_reuse import fit_reuse
    from compute.sweep.launch import sweep
    from compute.sweep.run import SweepResult
    from compute.unet.graph_reader import read_graph
    from store.errors import SkipscopeError
    from store.sweep_reader import SweepReader

__all__ = [
    "BenchReport",
    "SkipPolicy",
    "SkipscopeError",
    "SweepConfig",
    "SweepReader",
    "SweepResult",
    "applied",
    "fit_reuse",
    "load_config",
    "load_model",
    "methods",
    "phases_of",
    "read_graph",
    "recommend",
    "respaced_timesteps",
    "set_sampler",
    "sweep",
    "validate",
]

_MODULES = {
    "BenchReport": "compute.policy.bench_report",
    "SkipPolicy": "compute.policy.skip_policy",
    "SkipscopeError": "store.errors",
    "SweepConfig": "compute.config.schema",
    "SweepReader": "store.sweep_reader",
    "SweepResult": "compute.sweep.run",
    "applied": "compute.pipeline.applied",
    "fit_reuse": "compute.recommend.fitted_reuse",
    "load_config": "compute.config.loading",
    "load_model": "compute.models.loading",
    "methods": "compute.pipeline",
    "phases_of": "compute.analysis.phases.phase_evidence",
    "read_graph": "compute.unet.graph_reader",
    "recommend": "compute.recommend.find_policy",
    "respaced_timesteps": "compute.models.glide.respacing",
    "set_sampler": "compute.pipeline.set_sampler",
    "sweep": "compute.sweep.launch",
    "validate": "compute.recommend.find_policy",
}
"""Public name -> the module that defines it."""


def __getattr__(name: str) -> Any:
    """Import a public name (PEP 562). Raises ImportError, with the extra to install, where a dependency is missing."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(_MODULES[name]), name)
    except ModuleNotFoundError as error:
        from store.extras import how_to_install

        if (advice := how_to_install(error)) is None:
            raise
        raise ImportError(f"skipscope.{name}: {advice}", name=error.name) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
