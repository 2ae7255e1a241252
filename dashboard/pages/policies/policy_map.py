"""A policy as spans of steps by component: what runs, what stands in for it, and what does not run at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compute.policy.graph import UNET
from compute.policy.liveness import ResolvedSchedule
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import SkipPolicy
from dashboard.words.component_labels import action_label
from store.records import Ablation, Action, Unit

DEAD = "Does not run: nobody reads it"
"""What liveness adds to the states that actions put a component into."""
_ROW_LIMIT = 400


@dataclass(frozen=True, kw_only=True)
class Span:
    """Steps [start, stop) in which a component does one thing; `details` says how it reuses."""

    component: str
    start: int
    stop: int
    state: str
    details: str = ""


@dataclass(frozen=True, kw_only=True)
class PolicyMap:
    """Rows in network order, the whole network on top, and their spans; `left_out` counts rows beyond a limit."""

    rows: tuple[str, ...]
    spans: tuple[Span, ...]
    left_out: int = 0


def map_of(policy: SkipPolicy, components: Sequence[str], resolved: ResolvedSchedule | None) -> PolicyMap:
    """The map of a policy over components in network order; without `resolved`, only what the rules say."""
    schedule = policy.schedule
    named = {name for _, name, _ in schedule.entries()}
    known = [*components, *sorted(named - set(components))]
    order = [UNET, *(name for name in dict.fromkeys(known) if name != UNET)]
    shown = order[:_ROW_LIMIT]
    spans = [span for name in shown for span in _spans(schedule, name, resolved)]
    return PolicyMap(rows=tuple(shown), spans=tuple(spans), left_out=len(order) - len(shown))


def _spans(schedule: Schedule, name: str, resolved: ResolvedSchedule | None) -> list[Span]:
    found: list[Span] = []
    for step in range(schedule.steps):
        state, details = _state(schedule.action(step, name), name, step, resolved)
        same = bool(found) and (found[-1].state, found[-1].details) == (state, details)
        start = found.pop().start if same else step
        found.append(Span(component=name, start=start, stop=step + 1, state=state, details=details))
    return found


def _state(action: Action, name: str, step: int, resolved: ResolvedSchedule | None) -> tuple[str, str]:
    if resolved is not None and name in resolved.steps[step].dead:
        return DEAD, ""
    return action.properties.state, action_label(action) if action.reads_cache else ""


def cost_share(resolved: ResolvedSchedule) -> float:
    """The policy's arithmetic operations as a share of full compute's."""
    return resolved.total_flops / (resolved.graph.total_flops * len(resolved.steps))


def network_order(resolved: ResolvedSchedule | None, plan: Sequence[Unit]) -> list[str]:
    """Components in network order: of the graph where it is known, else of the plan's ablations of one component."""
    if resolved is not None:
        return list(resolved.graph.names)
    changed = [unit.intervention.components for unit in plan if isinstance(unit.intervention, Ablation)]
    return list(dict.fromkeys(names[0] for names in changed if len(names) == 1))
