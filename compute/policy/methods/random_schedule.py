"""Random schedules of a given cost: what any method must beat."""

from __future__ import annotations

import random

from compute.policy.graph import UNET, ComponentGraph
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule, ScheduleError
from store.records import Action

_TRIES = 2_000
_TOLERANCE = 0.02


def random_schedule(graph: ComponentGraph, *, steps: int, cost: float, seed: int = 0) -> Schedule:
    """Return a schedule drawn at random whose FLOPs are about `cost` times those of full compute.

    A component, a window and an action that it admits are drawn, and kept if the schedule can be executed and does not
    cost less than asked for, until the cost is within 0.02. The same seed gives the same schedule. Raises ScheduleError
    for a cost outside (0, 1], and for one that was not reached.
    """
    if not 0 < cost <= 1:
        raise ScheduleError(f"cost {cost:g}: over 0 and up to 1 is accepted, as a share of full compute")
    draw = random.Random(seed)
    schedule, share = Schedule.empty(steps), 1.0
    for _ in range(_TRIES):
        if share <= cost + _TOLERANCE:
            return schedule
        candidate = _with_one_more(graph, schedule, draw)
        try:
            found = resolve(graph, candidate).total_flops / (steps * graph.total_flops)
        except ScheduleError:
            continue
        if cost - _TOLERANCE <= found < share:
            schedule, share = candidate, found
    raise ScheduleError(f"cost {cost:g}: after {_TRIES} draws the cost is {share:.3f}; give another seed or cost")


def _with_one_more(graph: ComponentGraph, schedule: Schedule, draw: random.Random) -> Schedule:
    """Return a schedule with one more action of a random component in a random window."""
    name = draw.choice(graph.names)
    action = Action(name=draw.choice([action for action in graph.component(name).actions if action != "compute"]))
    start = draw.randrange(schedule.steps)
    stop = min(schedule.steps, start + draw.randint(1, max(1, schedule.steps // 4)))
    rows = {step: dict(row) for step, row in schedule.actions.items()}
    for step in range(start, stop):
        row = rows.setdefault(step, {})
        if name != UNET and UNET not in row:
            row.setdefault(name, action)
        elif name == UNET and not row:
            row[UNET] = action
    return Schedule(steps=schedule.steps, actions=rows)
