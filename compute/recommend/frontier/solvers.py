"""The solvers that a search for a frontier tries: those of diffusers that do well with few steps."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

import diffusers

from compute.models.model import Model
from compute.pipeline.run_steps import FollowError
from store.errors import SkipscopeError
from store.sampler import OWN_SAMPLERS, SamplerSettings

_TRAILING = {"timestep_spacing": "trailing"}
SOLVERS: Mapping[str, SamplerSettings] = {
    "DPM-Solver++ 2M": SamplerSettings(name="DPMSolverMultistepScheduler", steps=5, options=_TRAILING),
    "DPM-Solver++ 2M SDE": SamplerSettings(
        name="DPMSolverMultistepScheduler", steps=5, options={**_TRAILING, "algorithm_type": "sde-dpmsolver++"}
    ),
    "UniPC": SamplerSettings(name="UniPCMultistepScheduler", steps=5, options=_TRAILING),
    "Euler": SamplerSettings(name="EulerDiscreteScheduler", steps=5, options=_TRAILING),
}
"""By the name under which they compete; the number of steps is another for each candidate."""
_CLIPPED = {"thresholding": True, "dynamic_thresholding_ratio": 1.0, "sample_max_value": 1.0}
"""The options by which a multistep solver clips the predicted picture to [-1, 1], as DDPM and DDIM do by `clip_sample`.

Without it few steps of a model of pixels leave the range: the error of eps is multiplied by 1 / alpha at the first.
"""
_OF_EPS: Mapping[str, SamplerSettings] = {
    "DDPM": SamplerSettings(name="ddpm", steps=5),
    "DDIM": SamplerSettings(name="ddim", steps=5),
}
_DDIM: Mapping[str, SamplerSettings] = {
    "DDIM": SamplerSettings(name="DDIMScheduler", steps=5, options=_TRAILING),
}


def solvers_for(model: Model, guidance: float, report: Callable[[str], None]) -> dict[str, SamplerSettings]:
    """Return the solvers that a model's pipeline accepts; `report` is told of the others, and why."""
    candidates = {**(_OF_EPS if model.own_sampler in OWN_SAMPLERS else _DDIM), **SOLVERS}
    clips = bool(model.base_scheduler.get("clip_sample", False))
    found: dict[str, SamplerSettings] = {}
    for name, plain in candidates.items():
        sampler = _clipped(plain) if clips else plain
        try:
            if len(model.probe(sampler, guidance).steps) != sampler.steps:
                raise FollowError("it makes another number of steps than it is asked for")
            found[name] = sampler
        except SkipscopeError as error:
            report(f"without {name}: {str(error).splitlines()[0][:200]}")
    return found


def _clipped(sampler: SamplerSettings) -> SamplerSettings:
    """Return a diffusers solver that clips the predicted picture, where its class can."""
    kind = getattr(diffusers, sampler.name, None)
    if kind is None or "thresholding" not in inspect.signature(kind).parameters:
        return sampler
    return sampler.model_copy(update={"options": {**sampler.options, **_CLIPPED}})


def takes_timesteps(model: Model, sampler: SamplerSettings) -> bool:
    """Return whether the timesteps of a solver's steps can be chosen, by its scheduler and by the pipeline's call."""
    takes = "timesteps" in inspect.signature(type(model.scheduler(sampler)).set_timesteps).parameters
    return takes and "timesteps" in inspect.signature(type(model.pipe).__call__).parameters


def with_steps(sampler: SamplerSettings, steps: int, timesteps: tuple[int, ...] | None) -> SamplerSettings:
    """Return a solver with a number of steps, at these timesteps where they are given."""
    fields = sampler.asking(steps).model_dump()
    return SamplerSettings.model_validate(fields if timesteps is None else fields | {"timesteps": timesteps})
