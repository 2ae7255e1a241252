"""Schedules that leave components out: the seed paper's eliminations, and AutoDiffusion's identities."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from compute.policy.graph import ComponentGraph
from compute.policy.methods.layout import at_steps
from compute.policy.schedule import Schedule, ScheduleError
from store.records import Action


def eliminations(
    graph: ComponentGraph, *, steps: int, components: Sequence[str], start: int = 0, stop: int | None = None
) -> Schedule:
    """Return the elimination of components in a window of steps (Prasad et al., arXiv 2312.14965).

    `components` are names, globs or kinds (`kind:attention`). A residual branch is dropped, a skip connection's tensor
    is zero; the window ends before `stop`, by default at the end of the run. Raises ScheduleError for a component that
    cannot be left out, UnknownComponent for a pattern that matches none.
    """
    end = steps if stop is None else stop
    if not 0 <= start < end <= steps:
        raise ScheduleError(f"window [{start}, {end}) lies outside the run: it makes {steps} steps")
    row = {name: _removal(graph, name) for name in graph.match(components)}
    return at_steps(steps, dict.fromkeys(range(start, end), row))


def identities(graph: ComponentGraph, *, steps: int, left_out: Sequence[Collection[str]]) -> Schedule:
    """Return AutoDiffusion's schedule of architectures (Li et al., ICCV 2023, arXiv 2309.10438).

    `left_out` names, for each step, the components that are the identity there; its search chooses them together with
    the run's timesteps, which are those of the policy. Raises ScheduleError for other than one list a step.
    """
    if len(left_out) != steps:
        raise ScheduleError(f"left_out: {len(left_out)} lists are given; one for each of {steps} steps is accepted")
    rows = {
        step: {name: _removal(graph, name) for name in (graph.match(list(names)) if names else ())}
        for step, names in enumerate(left_out)
    }
    return at_steps(steps, rows)


def _removal(graph: ComponentGraph, name: str) -> Action:
    component = graph.component(name)
    action = next((action for action in component.actions if Action(name=action).properties.removes), None)
    if action is None:
        raise ScheduleError(
            f"{name} can't be left out: it has no path around it; accepted for it: {', '.join(component.actions)}"
        )
    return Action(name=action)
