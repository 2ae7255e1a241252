"""Shortest paths over the steps: the candidate of least damage + rate * seconds, by dynamic programming."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from compute.policy.schedule import Schedule, ScheduleError, StepActions
from compute.policy.search.candidate import Candidate
from compute.policy.search.move import MOVE_KINDS, Move, MoveKind
from compute.policy.search.search_space import SearchSpace

State = Literal["full", "partial", "full, dropped", "partial, dropped"]
"""How the last step that ran the network was computed, and whether steps were dropped since."""
STATES: tuple[State, ...] = ("full", "partial", "full, dropped", "partial, dropped")


def shortest_path(
    space: SearchSpace, rate: float, kinds: Collection[MoveKind] = MOVE_KINDS, *, keep_reused: bool = False
) -> Candidate | None:
    """Return the candidate of least damage + `rate` * seconds, or None if its schedule can't be executed.

    A schedule can't be executed if it reads a component that no earlier step computes. With `keep_reused` computed
    steps eliminate no component that a partial step may read. Only moves of `kinds` are used, besides full compute.
    """
    path = _least_sum(space, rate, kinds, space.reused_components if keep_reused else frozenset())
    rows: dict[int, StepActions] = {}
    damage = 0.0
    for move in path:
        rows.update(enumerate(move.rows, start=len(rows)))
        damage += move.damage
    try:
        schedule = Schedule(steps=space.steps, actions=rows)
        return Candidate(schedule=schedule, damage=damage, seconds=space.seconds(schedule))
    except ScheduleError:
        return None


def _least_sum(space: SearchSpace, rate: float, kinds: Collection[MoveKind], keep: frozenset[str]) -> list[Move]:
    """Return the sequence of moves over all steps whose sum of damage + `rate` * seconds is least."""
    best: dict[tuple[int, State], tuple[float, Move | None, State]] = {
        (space.steps, last): (0.0, None, last) for last in STATES
    }
    for step in reversed(range(space.steps)):
        full = space.full_step(step, rate if "bypass" in kinds else 0.0, keep=keep)
        moves = [full, *(move for move in space.reuses[step] if move.kind in kinds)]
        for before in STATES:
            options = []
            for move in moves:
                after = _after(before, move)
                if after is not None:
                    rest = best[step + len(move.rows), after][0]
                    options.append((move.damage + rate * move.seconds + rest, move, after))
            best[step, before] = min(options, key=lambda option: option[0])
    path: list[Move] = []
    step = 0
    state: State = "full"
    while step < space.steps:
        _, chosen, state = best[step, state]
        assert chosen is not None, "only the end has no move"
        path.append(chosen)
        step += len(chosen.rows)
    return path


def _after(state: State, move: Move) -> State | None:
    """Return the state after a move, or None if the move can't follow: a partial step reads a full one.

    A step whose guidance rests computes half of the batch, so a partial step can't read it either.
    """
    if move.kind == "full":
        return "full"
    if move.kind == "guide":
        return "partial"
    if move.kind == "partial":
        return "partial" if state in ("full", "full, dropped") else None
    if state == "full":
        return "full, dropped"
    return "partial, dropped" if state == "partial" else None
