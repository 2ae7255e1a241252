"""Regular schedules: every second or every third step of a part of the run is dropped."""

from __future__ import annotations

from compute.policy.schedule import Schedule
from compute.policy.search.candidate import Candidate
from compute.policy.search.move import Move
from compute.policy.search.search_space import SearchSpace

STRIDES = (2, 3)


def regular_candidates(space: SearchSpace) -> list[Candidate]:
    """Return, for each stride and number of dropped steps, the candidate of least damage; slowest first."""
    drops: dict[int, Move] = {}
    for step, moves in space.reuses.items():
        single = [move for move in moves if move.kind == "drop" and len(move.rows) == 1]
        if single:
            drops[step] = min(single, key=lambda move: move.damage)
    best: dict[tuple[int, int], Candidate] = {}
    for stride in STRIDES:
        for first in range(space.steps):
            chosen: dict[int, Move] = {}
            for step in range(first, space.steps, stride):
                if step not in drops:
                    break
                chosen[step] = drops[step]
                damage = sum(move.damage for move in chosen.values())
                known = best.get((stride, len(chosen)))
                if known is None or damage < known.damage:
                    schedule = Schedule(steps=space.steps, actions={s: move.rows[0] for s, move in chosen.items()})
                    best[stride, len(chosen)] = Candidate(
                        schedule=schedule, damage=damage, seconds=space.seconds(schedule)
                    )
    return sorted(best.values(), key=lambda candidate: -candidate.seconds)
