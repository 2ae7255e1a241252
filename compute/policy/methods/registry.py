"""The published methods, in one list: where each comes from, and which values of its parameters are worth trying."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from compute.policy.methods.deepcache import deepcache
from compute.policy.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class Method:
    """A published method.

    `parameters` has the values to try of each keyword of `schedule(graph, steps=..., **parameters)`, the usual one
    first. `needs` names what else it takes, such as measured changes; "" for nothing.
    """

    name: str
    source: str
    schedule: Callable[..., Schedule]
    parameters: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    needs: str = ""


METHODS: Mapping[str, Method] = {
    "deepcache": Method(
        name="DeepCache",
        source="Ma, Fang and Wang, CVPR 2024, arXiv 2312.00858",
        schedule=deepcache,
        parameters={"interval": (2, 3, 5), "branch": (0, 1, 2, 3)},
    ),
}
