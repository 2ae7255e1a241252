"""Regular schedules: every second or third step of a part of the run is dropped, or guidance rests from a step on."""

from __future__ import annotations

from compute.policy.graph import GUIDANCE
from compute.policy.schedule import Schedule
from compute.policy.search.candidate import Candidate
from compute.policy.search.move import Move
from compute.policy.search.search_space import SearchSpace
from store.records import Action

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


def resting_candidates(space: SearchSpace) -> list[Candidate]:
    """Return, for each step from which guidance can rest to the end, the candidate of least damage; slowest first.

    The damage of an ablation is shared evenly by the steps of its window.
    """
    shares: dict[Action, dict[int, float]] = {}
    for start, moves in space.reuses.items():
        for move in moves:
            if move.kind == "guide":
                own = shares.setdefault(move.rows[0][GUIDANCE], {})
                share = move.damage / len(move.rows)
                for step in range(start, start + len(move.rows)):
                    own[step] = min(share, own.get(step, share))
    best: dict[int, Candidate] = {}
    for action, of_step in shares.items():
        damage, first = 0.0, space.steps - 1
        while first in of_step:
            damage += of_step[first]
            row = {GUIDANCE: action}
            schedule = Schedule(steps=space.steps, actions=dict.fromkeys(range(first, space.steps), row))
            if first not in best or damage < best[first].damage:
                best[first] = Candidate(schedule=schedule, damage=damage, seconds=space.seconds(schedule))
            first -= 1
    return [best[first] for first in sorted(best, reverse=True)]
