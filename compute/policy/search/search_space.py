"""The search space: the moves that a sweep's evidence allows at each step, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from compute.policy.cost import CostModel
from compute.policy.graph import GUIDANCE, UNET, ComponentGraph
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule, StepActions
from compute.policy.search.evidence import Evidence
from compute.policy.search.move import Elimination, Move, MoveKind
from store.records import Ablation, Action


class SearchSpace:
    """The moves at each of `steps` steps for a component graph, from evidence and a cost model."""

    def __init__(self, graph: ComponentGraph, steps: int, evidence: Sequence[Evidence], cost: CostModel) -> None:
        self.graph, self.steps, self.cost = graph, steps, cost
        self.evidence = tuple(evidence)
        self._row_seconds: dict[tuple[tuple[str, Action], ...], float] = {}

    def seconds(self, schedule: Schedule) -> float:
        """Return the seconds of a run under a schedule. Raises ScheduleError for one that can't be executed."""
        return self.cost.seconds(resolve(self.graph, schedule))

    @cached_property
    def full_seconds(self) -> float:
        """Seconds of a run at full compute."""
        return self.seconds(Schedule.empty(self.steps))

    def row_seconds(self, row: StepActions) -> float:
        """Return the seconds of one step with these actions, if every value that they read is available."""
        key = tuple(sorted(row.items()))
        if key not in self._row_seconds:
            before = max((action.values_read for action in row.values()), default=0)
            plan = resolve(self.graph, Schedule(steps=before + 1, actions={before: row})).steps[before]
            self._row_seconds[key] = self.cost.seconds_of(plan)
        return self._row_seconds[key]

    @cached_property
    def reuses(self) -> Mapping[int, tuple[Move, ...]]:
        """The moves that begin at each step: runs of dropped steps or of resting guidance, and single partial steps."""
        moves: dict[int, list[Move]] = {step: [] for step in range(self.steps)}
        for evidence in self.evidence:
            ablation, length = evidence.ablation, evidence.ablation.window.stop - evidence.ablation.window.start
            kind = self._kind_of(ablation)
            if kind is None or (kind == "partial" and length != 1):
                continue
            row = dict.fromkeys(ablation.components, ablation.action)
            moves[ablation.window.start].append(
                Move(
                    rows=(row,) * length,
                    damage=max(0.0, evidence.damage),
                    seconds=length * self.row_seconds(row),
                    kind=kind,
                )
            )
        return {step: tuple(reuses) for step, reuses in moves.items()}

    def _kind_of(self, ablation: Ablation) -> MoveKind | None:
        """Return the kind of move that an ablation is evidence for; None for an elimination, and where it's of none."""
        if GUIDANCE in ablation.components:
            return "guide" if len(ablation.components) == 1 and self.cost.half is not None else None
        if not ablation.action.reads_cache:
            return None
        return "drop" if ablation.components == (UNET,) else "partial"

    @cached_property
    def reused_components(self) -> frozenset[str]:
        """The components that partial steps read from computed ones."""
        moves = [move for moves in self.reuses.values() for move in moves if move.kind == "partial"]
        return frozenset(name for move in moves for row in move.rows for name in row)

    @cached_property
    def eliminations(self) -> Mapping[int, tuple[Elimination, ...]]:
        """The eliminations at each step, least damage for a saved second first.

        An ablation's damage is shared evenly by the steps of its window.
        """
        full = self.row_seconds({})
        eliminations: dict[int, list[Elimination]] = {step: [] for step in range(self.steps)}
        for evidence in self.evidence:
            ablation, window = evidence.ablation, evidence.ablation.window
            if not ablation.action.properties.removes or GUIDANCE in ablation.components:
                continue
            row = dict.fromkeys(ablation.components, ablation.action)
            saved = full - self.row_seconds(row)
            share = max(0.0, evidence.damage) / (window.stop - window.start)
            if saved > 0:
                for step in range(window.start, window.stop):
                    eliminations[step].append(Elimination(actions=row, damage=share, saved=saved))
        return {
            step: tuple(sorted(options, key=lambda option: option.damage / option.saved))
            for step, options in eliminations.items()
        }

    def full_step(self, step: int, rate: float, *, keep: frozenset[str] = frozenset()) -> Move:
        """Return the move that computes a step without the components that are worth eliminating.

        They are worth it if their damage for a saved second is below `rate`. Components in `keep` are not eliminated;
        at rate 0 none is.
        """
        row: dict[str, Action] = {}
        damage = 0.0
        for option in self.eliminations[step]:
            if option.damage < rate * option.saved and not option.actions.keys() & (row.keys() | keep):
                row.update(option.actions)
                damage += option.damage
        return Move(rows=(row,), damage=damage, seconds=self.row_seconds(row), kind="full")

    def further_eliminations(self, step: int, row: StepActions) -> list[Elimination]:
        """Return the eliminations of components that a row of a step computes; none if the row reuses."""
        if any(action.reads_cache for action in row.values()):
            return []
        return [option for option in self.eliminations[step] if not option.actions.keys() & row.keys()]
