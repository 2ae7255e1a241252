"""Candidates for skip policies: shortest paths over steps, from what a sweep measured and what a step costs.

Each step is computed in full (perhaps with some components bypassed), computed in part (a component reuses what an
earlier step computed, and what lies deeper is dead), or dropped in a run of steps that reuse `unet`. Damages are added
up, which they are not in truth: so a candidate is a proposal, to be run closed-loop before anybody believes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from compute.policy.cost import CostModel
from compute.policy.graph import UNET, ComponentGraph
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule, ScheduleError, StepActions
from store.records import Ablation, Action, canonical_json

# What the last step was: computed in full or in part, or dropped since. A step in part reads a full one.
State = Literal["full", "part", "full, dropped", "part, dropped"]
STATES: tuple[State, ...] = ("full", "part", "full, dropped", "part, dropped")
# What saves time: components left out of a computed step, a step computed in part, steps dropped.
MoveKind = Literal["bypass", "part", "drop"]
MOVE_KINDS: tuple[MoveKind, ...] = ("bypass", "part", "drop")
_RATES = np.geomspace(1e-4, 3.0, 60)
_LEAST_SAVING = 0.005  # of full compute: less is not worth a closed-loop run


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """An ablation, and the damage that the sweep found for it."""

    ablation: Ablation
    damage: float


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A schedule with what the search expects of it: the summed damage, and seconds by the cost model."""

    schedule: Schedule
    damage: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class _Move:
    """What may be done from a step on: rows of actions for as many steps, its damage and its seconds."""

    rows: tuple[StepActions, ...]
    damage: float
    seconds: float
    kind: MoveKind | Literal["full"]


class Search:
    """Candidates for one graph, sampler length, body of evidence and cost model."""

    def __init__(self, graph: ComponentGraph, steps: int, evidence: Sequence[Evidence], cost: CostModel) -> None:
        self.graph, self.steps, self.cost = graph, steps, cost
        self._evidence = tuple(evidence)
        self._seconds: dict[tuple[tuple[str, Action], ...], float] = {}

    @cached_property
    def full_seconds(self) -> float:
        """Seconds of a run at full compute."""
        return self.cost.seconds(resolve(self.graph, Schedule.empty(self.steps)))

    def seconds(self, schedule: Schedule) -> float:
        """Seconds of a run under a schedule. Raises ScheduleError for one that can't be carried out."""
        return self.cost.seconds(resolve(self.graph, schedule))

    def frontier(self, kinds: Sequence[MoveKind] = MOVE_KINDS) -> list[Candidate]:
        """One candidate for each exchange rate of damage against time, slowest first; each faster one does more damage.

        `kinds` are the moves allowed besides computing in full: where sums deceive, it helps to look at each alone.
        """
        found: dict[str, Candidate] = {}
        for rate in _RATES:
            scaled = float(rate) / self.full_seconds
            candidate = self._shortest(scaled, frozenset(kinds)) or self._shortest(scaled, frozenset(kinds), spare=True)
            if candidate is not None and not candidate.schedule.is_empty:
                found.setdefault(canonical_json(candidate.schedule), candidate)
        frontier: list[Candidate] = []
        for candidate in sorted(found.values(), key=lambda candidate: (candidate.seconds, candidate.damage)):
            if not frontier or candidate.damage < frontier[-1].damage:
                frontier.append(candidate)
        return frontier[::-1]

    def regular(self) -> list[Candidate]:
        """Every second or third step dropped, of those in which the sum of damages is least; slowest first."""
        best: dict[tuple[int, int], Candidate] = {}
        drops = {step: min(moves, key=lambda move: move.damage) for step, moves in self._single_drops.items() if moves}
        for stride in (2, 3):
            for first in range(self.steps):
                chosen: dict[int, _Move] = {}
                for step in range(first, self.steps, stride):
                    if step not in drops:
                        break
                    chosen[step] = drops[step]
                    damage = sum(move.damage for move in chosen.values())
                    known = best.get((stride, len(chosen)))
                    if known is None or damage < known.damage:
                        schedule = Schedule(steps=self.steps, actions={s: move.rows[0] for s, move in chosen.items()})
                        best[stride, len(chosen)] = Candidate(
                            schedule=schedule, damage=damage, seconds=self.seconds(schedule)
                        )
        return sorted(best.values(), key=lambda candidate: -candidate.seconds)

    @property
    def _single_drops(self) -> dict[int, list[_Move]]:
        return {
            step: [move for move in moves if move.kind == "drop" and len(move.rows) == 1]
            for step, moves in self._cheap.items()
        }

    def neighbours(self, schedule: Schedule) -> list[Candidate]:
        """Faster schedules that differ by one move, those that pay most for their damage first.

        A candidate's damage is that of the move alone.
        """
        before = self.seconds(schedule)
        found: dict[str, tuple[float, Candidate]] = {}
        for start in range(self.steps):
            for move in (*self._cheap[start], *self._bypass_moves(start, schedule)):
                rows = dict(schedule.actions)
                rows.update({start + i: row for i, row in enumerate(move.rows)})
                try:
                    changed = Schedule(steps=self.steps, actions=rows)
                    seconds = self.seconds(changed)
                except ScheduleError:
                    continue
                if before - seconds > _LEAST_SAVING * self.full_seconds:
                    price = move.damage / (before - seconds)
                    candidate = Candidate(schedule=changed, damage=move.damage, seconds=seconds)
                    key = canonical_json(changed)
                    if key not in found or price < found[key][0]:
                        found[key] = (price, candidate)
        return [candidate for _, candidate in sorted(found.values(), key=lambda pair: pair[0])]

    @cached_property
    def _cheap(self) -> Mapping[int, tuple[_Move, ...]]:
        """By step the moves that reuse: runs of dropped steps, and single steps computed in part."""
        moves: dict[int, list[_Move]] = {step: [] for step in range(self.steps)}
        for evidence in self._evidence:
            ablation, length = evidence.ablation, evidence.ablation.window.stop - evidence.ablation.window.start
            if not ablation.action.reads_cache:
                continue
            row = dict.fromkeys(ablation.components, ablation.action)
            dropped = ablation.components == (UNET,)
            if not dropped and length != 1:
                continue
            moves[ablation.window.start].append(
                _Move(
                    rows=(row,) * length,
                    damage=max(0.0, evidence.damage),
                    seconds=length * self._row_seconds(row),
                    kind="drop" if dropped else "part",
                )
            )
        return {step: tuple(found) for step, found in moves.items()}

    @cached_property
    def _bypasses(self) -> Mapping[int, tuple[tuple[StepActions, float, float], ...]]:
        """By step what may be left out of a computed one, best paid first: actions, damage a step, seconds saved."""
        full = self._row_seconds({})
        found: dict[int, list[tuple[StepActions, float, float]]] = {step: [] for step in range(self.steps)}
        for evidence in self._evidence:
            ablation = evidence.ablation
            if not ablation.action.properties.removes:
                continue
            row = dict.fromkeys(ablation.components, ablation.action)
            saved = full - self._row_seconds(row)
            share = max(0.0, evidence.damage) / (ablation.window.stop - ablation.window.start)
            if saved > 0:
                for step in range(ablation.window.start, ablation.window.stop):
                    found[step].append((row, share, saved))
        return {step: tuple(sorted(options, key=lambda it: it[1] / it[2])) for step, options in found.items()}

    def _bypass_moves(self, step: int, schedule: Schedule) -> list[_Move]:
        """What may be left out of a step besides what a schedule leaves out of it."""
        row = schedule.at(step)
        if any(action.reads_cache for action in row.values()):
            return []
        return [
            _Move(rows=({**row, **more},), damage=damage, seconds=0.0, kind="bypass")
            for more, damage, _ in self._bypasses[step]
            if not more.keys() & row.keys()
        ]

    def _row_seconds(self, row: StepActions) -> float:
        """Seconds of one step with these actions, all that it reads being there."""
        key = tuple(sorted(row.items()))
        if key not in self._seconds:
            before = max((action.order + 1 for action in row.values() if action.reads_cache), default=0)
            plan = resolve(self.graph, Schedule(steps=before + 1, actions={before: row})).steps[before]
            self._seconds[key] = self.cost.seconds_of(plan)
        return self._seconds[key]

    @cached_property
    def _read(self) -> frozenset[str]:
        """The components that a step in part reads from a computed one."""
        moves = [move for moves in self._cheap.values() for move in moves if move.kind == "part"]
        return frozenset(name for move in moves for row in move.rows for name in row)

    def _full(self, step: int, rate: float, bypass: bool, spared: frozenset[str]) -> _Move:
        """The step computed, without what is worth leaving out at this rate of damage for a second."""
        row: dict[str, Action] = {}
        damage = 0.0
        for more, share, saved in self._bypasses[step] if bypass else ():
            if share < rate * saved and not more.keys() & (row.keys() | spared):
                row.update(more)
                damage += share
        return _Move(rows=(row,), damage=damage, seconds=self._row_seconds(row), kind="full")

    def _shortest(self, rate: float, kinds: frozenset[MoveKind], *, spare: bool = False) -> Candidate | None:
        """The schedule of least damage + rate * seconds; None where it would read what no step before it computes.

        With `spare` computed steps leave out nothing that others read.
        """
        best: dict[tuple[int, State], tuple[float, _Move | None, State]] = {
            (self.steps, last): (0.0, None, last) for last in STATES
        }
        for step in reversed(range(self.steps)):
            full = self._full(step, rate, "bypass" in kinds, self._read if spare else frozenset())
            reusing = [move for move in self._cheap[step] if move.kind in kinds]
            for before in STATES:
                options = []
                for move in (full, *reusing):
                    after = _after(before, move)
                    if after is not None:
                        rest = best[step + len(move.rows), after][0]
                        options.append((move.damage + rate * move.seconds + rest, move, after))
                best[step, before] = min(options, key=lambda option: option[0])
        rows: dict[int, StepActions] = {}
        step, damage = 0, 0.0
        state: State = "full"
        while step < self.steps:
            _, chosen, state = best[step, state]
            assert chosen is not None
            rows.update({step + i: row for i, row in enumerate(chosen.rows)})
            damage += chosen.damage
            step += len(chosen.rows)
        try:
            schedule = Schedule(steps=self.steps, actions=rows)
            return Candidate(schedule=schedule, damage=damage, seconds=self.seconds(schedule))
        except ScheduleError:
            return None


def _after(state: State, move: _Move) -> State | None:
    """The state that a move leads to; None where it can't follow."""
    if move.kind == "full":
        return "full"
    if move.kind == "part":
        return "part" if state in ("full", "full, dropped") else None
    if state == "full":
        return "full, dropped"
    return "part, dropped" if state == "part" else None
