"""Neighbours of a schedule: faster schedules that differ by one move."""

from __future__ import annotations

from collections.abc import Iterator

from compute.policy.schedule import Schedule, ScheduleError, StepActions
from compute.policy.search.candidate import Candidate
from compute.policy.search.search_space import SearchSpace
from store.records import canonical_json

_LEAST_SAVING = 0.005  # of full compute: less is not worth a closed-loop run


def neighbours(space: SearchSpace, schedule: Schedule) -> list[Candidate]:
    """Return the faster schedules that differ from `schedule` by one move, least damage for a saved second first.

    A candidate's damage is that of its move alone.
    """
    before = space.seconds(schedule)
    best: dict[str, tuple[float, Candidate]] = {}
    for changes, damage in _moves(space, schedule):
        try:
            changed = Schedule(steps=space.steps, actions={**schedule.actions, **changes})
            seconds = space.seconds(changed)
        except ScheduleError:
            continue
        if before - seconds > _LEAST_SAVING * space.full_seconds:
            price = damage / (before - seconds)
            key = canonical_json(changed)
            if key not in best or price < best[key][0]:
                best[key] = (price, Candidate(schedule=changed, damage=damage, seconds=seconds))
    return [candidate for _, candidate in sorted(best.values(), key=lambda pair: pair[0])]


def _moves(space: SearchSpace, schedule: Schedule) -> Iterator[tuple[dict[int, StepActions], float]]:
    """Yield the changed rows of a schedule by step, and the damage, of every move."""
    for start in range(space.steps):
        for move in space.reuses[start]:
            yield dict(enumerate(move.rows, start=start)), move.damage
        row = schedule.at(start)
        for option in space.further_eliminations(start, row):
            yield {start: {**row, **option.actions}}, option.damage
