"""What a draft can start from: nothing, a stored policy, a published method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from compute.policy.graph import ComponentGraph
from compute.policy.methods.registry import METHODS, Method
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import SkipPolicy
from dashboard.data.sweep import Sweep

Parameters = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Start:
    """Something to start from: `schedule` makes the draft, from one value of each of the `parameters`.

    It raises SkipscopeError for what the network cannot do.
    """

    token: str
    label: str
    source: str
    schedule: Callable[[Parameters], Schedule]
    parameters: Mapping[str, tuple[Any, ...]]


def starts(sweep: Sweep, graph: ComponentGraph) -> list[Start]:
    """Return what a draft for the sweep's steps can start from, nothing first."""
    steps = sweep.steps
    found = [_start("nothing", "Nothing: full compute", "", Schedule.empty(steps))]
    for file in sweep.policies:
        if file.policy is not None:
            found.append(_policy_start(file.stem, file.policy, steps))
    found += [_method_start(key, method, graph, steps) for key, method in METHODS.items() if not method.needs]
    return found


def _start(token: str, label: str, source: str, schedule: Schedule) -> Start:
    return Start(token=token, label=label, source=source, schedule=lambda _: schedule, parameters={})


def _policy_start(stem: str, policy: SkipPolicy, steps: int) -> Start:
    own = policy.sampler.steps
    return Start(
        token=f"policy-{stem}",
        label=f"Policy: {policy.name}",
        source="" if own == steps else f"It is for {own} steps; the draft does at each step what it does there.",
        schedule=lambda _: policy.resampled(steps).schedule,
        parameters={},
    )


def _method_start(key: str, method: Method, graph: ComponentGraph, steps: int) -> Start:
    return Start(
        token=f"method-{key}",
        label=f"Method: {method.name}",
        source=method.source,
        schedule=lambda parameters: method.schedule(graph, steps=steps, **parameters),
        parameters=method.parameters,
    )


def template_for(sweep: Sweep) -> SkipPolicy | None:
    """Return a stored policy for the sweep's own model, sampler and stage, whose identity a draft takes over."""
    settings = sweep.header.settings
    for file in sweep.policies:
        policy = file.policy
        if (
            policy is not None
            and policy.model.weights == settings.get("model")
            and policy.model.stage == settings.get("stage")
            and policy.sampler.steps == sweep.steps
            and policy.sampler.name == settings.get("sampler", {}).get("name")
        ):
            return policy
    return None
