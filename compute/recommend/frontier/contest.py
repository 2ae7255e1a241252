"""Runs candidates on more and more conditions, within a number of evaluations: the good ones go on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from compute.policy.frontier_report import BudgetUnit
from compute.policy.skip_policy import SkipPolicy
from compute.progress import Bar
from compute.recommend.bench.engine import Engine
from compute.recommend.frontier.picture_loss import PictureLoss
from compute.recommend.frontier.standing import Candidate, Standing, within
from store.records import Condition


class Contest:
    """The candidates that were run, on which of the conditions, and what that has cost.

    Round r runs a candidate on the first `rounds[r]` conditions. What the engine keeps is not run again, but counts:
    so a search that is resumed takes the same decisions.
    """

    def __init__(
        self, engine: Engine, conditions: Sequence[Condition], loss: PictureLoss, rounds: Sequence[int], bar: Bar
    ) -> None:
        self.engine, self.conditions, self.loss, self.rounds = engine, tuple(conditions), loss, tuple(rounds)
        self.spent = 0.0
        """Evaluations of the network, of one picture each."""
        self._bar = bar
        self._standings: dict[str, Standing] = {}

    @property
    def standings(self) -> tuple[Standing, ...]:
        """All candidates that were run, in the order in which they came."""
        return tuple(self._standings.values())

    def known(self, policy: SkipPolicy) -> Standing | None:
        """Return how a policy stands, None if it was not run."""
        return self._standings.get(policy.digest)

    def cost(self, candidate: Candidate, round_number: int) -> float:
        """Return the evaluations that it takes to run a candidate up to a round."""
        known = self.known(candidate.policy)
        done = 0 if known is None else len(known.losses)
        return max(0, self.rounds[round_number] - done) * candidate.evaluations

    def run(self, candidate: Candidate, round_number: int) -> Standing:
        """Run a candidate up to a round, and return how it stands."""
        known = self.known(candidate.policy)
        count = self.rounds[round_number]
        if known is not None and len(known.losses) >= count:
            return known
        cost = self.cost(candidate, round_number)
        conditions = self.conditions[:count]
        outcome = self.engine.outcome(candidate.policy, conditions)
        standing = Standing(candidate=candidate, losses=self.loss.of(outcome.pictures, conditions))
        self._standings[candidate.policy.digest] = standing
        self.spent += cost
        self._bar.advance(f"{candidate.label}: {self.loss.name} {standing.loss:.3f}", count=round(cost))
        return standing

    def promote(self, round_number: int, budgets: Iterable[float], best: int, *, by: BudgetUnit) -> None:
        """Run, for each budget, the best few of all and of the plain ones up to a round.

        They are the best of the round before, so that a candidate comes as far as its losses carry it.
        """
        before = self.rounds[round_number - 1]
        for budget in budgets:
            ready = [standing for standing in within(self.standings, budget, by=by) if len(standing.losses) >= before]
            ready.sort(key=lambda standing: standing.loss)
            plain = [standing for standing in ready if standing.candidate.is_plain]
            for standing in {id(s): s for s in (*ready[:best], *plain[: max(1, best // 2)])}.values():
                self.run(standing.candidate, round_number)
