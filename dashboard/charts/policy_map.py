"""What each component does at each step of a policy, as spans of steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from compute.policy.graph import GUIDANCE, UNET
from compute.policy.liveness import ResolvedSchedule
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import SkipPolicy
from dashboard.words.action_labels import action_label
from store.records import Ablation, Unit, Window

DEAD = "Does not run"
"""The state of a dead component; the other states are those of `ActionProperties.state`."""
_MAX_ROWS = 400
_MAX_SPANS = 20_000


@dataclass(frozen=True, kw_only=True)
class Span:
    """A window in which a component is in one state; `details` says how it reuses."""

    component: str
    window: Window
    state: str
    details: str = ""


@dataclass(frozen=True, kw_only=True)
class PolicyMap:
    """Components, the whole network and guidance before the others in network order, and their spans.

    `left_out` counts the components beyond a limit.
    """

    components: tuple[str, ...]
    spans: tuple[Span, ...]
    left_out: int = 0


def map_policy(policy: SkipPolicy, components: Sequence[str], resolved: ResolvedSchedule | None) -> PolicyMap:
    """Return the map of a policy over components in network order; without `resolved` no component is dead."""
    return map_schedule(policy.schedule, components, resolved)


def map_schedule(schedule: Schedule, components: Sequence[str], resolved: ResolvedSchedule | None) -> PolicyMap:
    """Return the map of a schedule; see `map_policy`."""
    acted = schedule.components
    whole = [UNET, *({GUIDANCE} & {*components, *acted})]
    names = list(dict.fromkeys([*whole, *components, *sorted(acted - set(components))]))
    shown: list[str] = []
    spans: list[Span] = []
    for name in names[:_MAX_ROWS]:
        if len(spans) > _MAX_SPANS:
            break
        spans += _spans(schedule, name, resolved)
        shown.append(name)
    return PolicyMap(components=tuple(shown), spans=tuple(spans), left_out=len(names) - len(shown))


def _spans(schedule: Schedule, name: str, resolved: ResolvedSchedule | None) -> list[Span]:
    states = [_state(schedule, name, step, resolved) for step in range(schedule.steps)]
    spans = []
    for (state, details), steps in groupby(range(schedule.steps), key=lambda step: states[step]):
        first, *others = steps
        window = Window(start=first, stop=(others or [first])[-1] + 1)
        spans.append(Span(component=name, window=window, state=state, details=details))
    return spans


def _state(schedule: Schedule, name: str, step: int, resolved: ResolvedSchedule | None) -> tuple[str, str]:
    if resolved is not None and name in resolved.steps[step].dead:
        return DEAD, ""
    action = schedule.action(step, name)
    return action.properties.state, action_label(action) if action.reads_cache else ""


def cost_share(resolved: ResolvedSchedule) -> float:
    """Return a policy's arithmetic operations as a share of full compute's."""
    return resolved.total_flops / (resolved.graph.total_flops * len(resolved.steps))


def network_order(resolved: ResolvedSchedule | None, plan: Sequence[Unit]) -> list[str]:
    """Return the names of components in network order: the graph's, or those that the plan ablates alone.

    Of the parts of transformers, which are many, only those that the schedule acts on.
    """
    if resolved is not None:
        acted = resolved.schedule.components
        return [name for name in resolved.graph.names if name not in resolved.graph.parents or name in acted]
    ablated = [unit.intervention.components for unit in plan if isinstance(unit.intervention, Ablation)]
    return list(dict.fromkeys(components[0] for components in ablated if len(components) == 1))
