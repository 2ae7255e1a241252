"""The published methods: where each comes from, its parameters with values to try, and its schedule.

A benchmark or a search goes through `METHODS`; a person calls `skipscope.methods.NAME`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

from compute.policy.methods.cachify import cachify
from compute.policy.methods.clockwork import clockwork
from compute.policy.methods.deepcache import deepcache, deepcache_uneven
from compute.policy.methods.encoder_reuse import faster_diffusion
from compute.policy.methods.random_schedule import random_schedule
from compute.policy.methods.removal import eliminations, identities
from compute.policy.methods.taylorseer import taylorseer
from compute.policy.methods.tgate import tgate
from compute.policy.methods.thresholds import block_caching, smoothcache
from compute.policy.methods.whole_steps import adaptive_diffusion, sada, whole_steps
from compute.policy.schedule import Schedule

Need = Literal["changes", "distances", "left_out"]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A published method: `schedule(graph, steps=…, **parameters)` returns what it does at each step.

    `parameters` holds the values of each parameter that are worth trying; not every combination is possible on every
    network and number of steps, and `schedule` raises ScheduleError for one that is not. `needs` names what it takes
    besides: a full run's `changes` or `distances`, which `measured_changes` measures, or lists that a search has found.
    """

    name: str
    source: str
    parameters: Mapping[str, tuple[Any, ...]]
    schedule: Callable[..., Schedule]
    needs: tuple[Need, ...] = field(default=())

    def combinations(self) -> list[dict[str, Any]]:
        """Return every combination of the values to try."""
        return [dict(zip(self.parameters, values, strict=True)) for values in product(*self.parameters.values())]


_ALL = (
    Method(
        name="deepcache",
        source="arXiv 2312.00858",
        parameters={"interval": (2, 3, 5), "branch": (0, 1, 2, 3, 5, 8)},
        schedule=deepcache,
    ),
    Method(
        name="deepcache_uneven",
        source="arXiv 2312.00858",
        parameters={"interval": (2, 3, 5), "center": (3, 6, 9, 15), "power": (1.2, 1.4), "branch": (0, 1, 2)},
        schedule=deepcache_uneven,
    ),
    Method(
        name="faster_diffusion",
        source="arXiv 2312.09608",
        parameters={"interval": (None, 2, 3, 4, 5)},
        schedule=faster_diffusion,
    ),
    Method(name="clockwork", source="arXiv 2312.08128", parameters={"clock": (2, 3, 4)}, schedule=clockwork),
    Method(
        name="cachify",
        source="NVIDIA Model Optimizer, cache_diffusion, SDXL_DEFAULT_CONFIG",
        parameters={"interval": (2,)},
        schedule=cachify,
    ),
    Method(
        name="tgate",
        source="arXiv 2404.02747",
        parameters={"gate": (3, 5, 8, 10, 15), "self_interval": (1, 3, 5), "late_interval": (1,), "warm_up": (0, 2)},
        schedule=tgate,
    ),
    Method(
        name="taylorseer",
        source="arXiv 2503.06923",
        parameters={"interval": (2, 3, 4), "order": (0, 1, 2), "first": (1, 2, 3), "branch": (None, 0, 1)},
        schedule=taylorseer,
    ),
    Method(
        name="block_caching",
        source="arXiv 2312.03209",
        parameters={
            "threshold": (0.05, 0.1, 0.2, 0.3, 0.5, 0.8),
            "kinds": (("attention",), ("resnet", "attention")),
        },
        schedule=block_caching,
        needs=("changes",),
    ),
    Method(
        name="smoothcache",
        source="arXiv 2411.10510",
        parameters={"threshold": (0.05, 0.08, 0.12, 0.18, 0.25, 0.35, 0.5), "lookahead": (1, 2, 3)},
        schedule=smoothcache,
        needs=("changes",),
    ),
    Method(
        name="whole_steps",
        source="a step repeats the last computed output",
        parameters={"interval": (2, 3, 4), "start": (0, 3, 6, 10), "order": (0, 1, 2), "space": ("eps", "x0")},
        schedule=whole_steps,
    ),
    Method(
        name="adaptive_diffusion",
        source="arXiv 2410.09873",
        parameters={"threshold": (0.005, 0.01, 0.02, 0.05, 0.1), "most": (2, 4)},
        schedule=adaptive_diffusion,
        needs=("distances",),
    ),
    Method(
        name="sada",
        source="arXiv 2507.17135",
        parameters={"start": (None, 3, 6), "interval": (2, 3, 4), "terms": (2, 3)},
        schedule=sada,
    ),
    Method(
        name="eliminations",
        source="arXiv 2312.14965",
        parameters={
            "components": (("kind:attention",), ("kind:skip",), ("mid_block.*",)),
            "start": (0, 5, 10),
        },
        schedule=eliminations,
    ),
    Method(
        name="identities",
        source="arXiv 2309.10438",
        parameters={},
        schedule=identities,
        needs=("left_out",),
    ),
    Method(
        name="random_schedule",
        source="a schedule drawn at random, of a given cost",
        parameters={"cost": (0.3, 0.5, 0.7), "seed": (0, 1, 2)},
        schedule=random_schedule,
    ),
)
METHODS: Mapping[str, Method] = {method.name: method for method in _ALL}
"""Every method by name."""
