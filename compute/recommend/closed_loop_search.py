"""Searches candidates closed-loop: proposals are run from noise to picture, and the best is improved move by move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from compute.policy.rules import rules_of
from compute.policy.search.candidate import Candidate
from compute.policy.search.frontier import frontier
from compute.policy.search.neighbours import neighbours
from compute.policy.search.regular import regular_candidates, resting_candidates
from compute.policy.search.search_space import SearchSpace
from compute.recommend.closed_loop import ClosedLoop
from compute.statistics.estimate import Estimate

Report = Callable[[str], None]
"""Receives one line for each step of the work, for a person who waits."""
_MAX_REFUSED = 4  # moves that may exceed the budget before the improvement ends


@dataclass(frozen=True, kw_only=True)
class MeasuredCandidate:
    """A candidate with its closed-loop damage, and its speedup by the cost model."""

    candidate: Candidate
    damage: Estimate
    speedup: float


def proposals(space: SearchSpace) -> tuple[Sequence[Candidate], ...]:
    """Return families of candidates, each slowest first: dropped steps, regular schedules, resting guidance, all moves.

    A further family, such as the schedules of a published method, is one more item here.
    """
    dropping = frontier(space, ("drop",))
    return dropping, regular_candidates(space), resting_candidates(space), frontier(space)


class ClosedLoopSearch:
    """Finds the best schedule for a goal, running candidates closed-loop; several goals share the runs.

    `spaces` are searched in their order. The last one holds all evidence.
    """

    def __init__(self, spaces: Sequence[SearchSpace], loop: ClosedLoop, report: Report) -> None:
        self.spaces, self.loop = tuple(spaces), loop
        self._report = report
        self.least: MeasuredCandidate | None = None
        """The candidate of least damage among all that were run to the end."""

    def least_damage(self, min_speedup: float) -> MeasuredCandidate | None:
        """Return the candidate of least damage among the slowest of each family that reach a speedup."""
        limit = self._full_seconds / min_speedup
        measured = []
        for family in self._families():
            first = next((candidate for candidate in family if candidate.seconds <= limit), None)
            if first is not None and (result := self.measure(first)) is not None:
                measured.append(result)
        return min(measured, key=lambda candidate: candidate.damage.mean, default=None)

    def fastest(self, budget: float) -> MeasuredCandidate | None:
        """Return the fastest candidate whose damage is at most `budget`, improved by further moves."""
        best: MeasuredCandidate | None = None
        for family in self._families():
            best = self._bisect(family, budget, best)
        return None if best is None else self._improve(best, budget)

    def measure(self, candidate: Candidate, budget: float | None = None) -> MeasuredCandidate | None:
        """Run a candidate closed-loop. Return None if its damage exceeds the budget."""
        damage = self.loop.damage(candidate.schedule, at_most=budget)
        speedup = self._full_seconds / candidate.seconds
        result = "too much damage" if damage is None else f"damage {damage}"
        self._report(f"{speedup:.2f}x predicted, {result} closed-loop")
        if damage is None:
            return None
        measured = MeasuredCandidate(candidate=candidate, damage=damage, speedup=speedup)
        if self.least is None or damage.mean < self.least.damage.mean:
            self.least = measured
        return measured if budget is None or damage.mean <= budget else None

    @property
    def _full_seconds(self) -> float:
        return self.spaces[-1].full_seconds

    def _families(self) -> list[Sequence[Candidate]]:
        return [family for space in self.spaces for family in proposals(space)]

    def _bisect(
        self, family: Sequence[Candidate], budget: float, best: MeasuredCandidate | None
    ) -> MeasuredCandidate | None:
        """Return the fastest candidate of a family within the budget, or `best` if none is faster.

        Bisection: later candidates of a family are faster and do more damage.
        """
        family = [item for item in family if best is None or item.seconds < best.candidate.seconds]
        low, high = 0, len(family)
        while low < high:
            middle = (low + high) // 2
            measured = self.measure(family[middle], budget)
            if measured is not None:
                best, low = measured, middle + 1
            else:
                high = middle
        return best

    def _improve(self, best: MeasuredCandidate, budget: float) -> MeasuredCandidate:
        """Apply one move after the other while the damage stays within the budget."""
        refused: set[str] = set()
        while len(refused) < _MAX_REFUSED:
            for candidate in self._neighbours(best.candidate):
                change = str(set(rules_of(candidate.schedule)) - set(rules_of(best.candidate.schedule)))
                if change in refused:
                    continue
                measured = self.measure(candidate, budget)
                if measured is not None:
                    best = measured
                    break
                refused.add(change)
                if len(refused) >= _MAX_REFUSED:
                    break
            else:
                break
        return best

    def _neighbours(self, candidate: Candidate) -> list[Candidate]:
        return [neighbour for space in self.spaces for neighbour in neighbours(space, candidate.schedule)]
