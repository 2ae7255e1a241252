"""Finds what to run within each of several budgets, from full compute to plans that rest, in one search.

Full compute by every solver is run first; then plans that a population proposes, seeded with guidance that rests. The
best of each budget are run on more and more conditions, and the one of least loss is chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from compute.models.model import Model
from compute.policy.cost import CostModel
from compute.policy.frontier_report import BudgetUnit
from compute.policy.liveness import resolve
from compute.policy.schedule import ScheduleError
from compute.policy.search.plan_space import PlanSpace
from compute.policy.search.sampling_plan import SamplingPlan
from compute.recommend.frontier.contest import Contest
from compute.recommend.frontier.population import Population
from compute.recommend.frontier.solvers import with_steps
from compute.recommend.frontier.standing import Candidate, Standing, within
from compute.recommend.run_policy import policy_of_run
from store.errors import SkipscopeError
from store.sampler import SamplerSettings

ROUNDS = (16, 40, 96)
"""Conditions that a candidate is run on in each round of the search, where there are as many."""
_BEST = (3, 1)
"""Candidates of a budget that go on to the second and the third round."""
_BEST_SOLVERS = 3
"""Solvers that the first plans that rest are tried with."""
_FRUITLESS = 400
"""Proposals in a row that cannot be run before the search gives up proposing."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a search chose for a budget, and the best full compute within it, if any fits."""

    budget: float
    chosen: Standing
    plain: Standing | None


class FrontierSearch:
    """A search over plans for one model: makes policies of plans, runs them, and chooses."""

    def __init__(
        self,
        model: Model,
        contest: Contest,
        space: PlanSpace,
        solvers: dict[str, SamplerSettings],
        cost: CostModel,
        *,
        guidance: float,
        budgets: Sequence[float],
        unit: BudgetUnit = "evaluations",
    ) -> None:
        self.contest, self.space = contest, space
        self._model, self._solvers, self._cost = model, solvers, cost
        self.guidance = guidance
        self.budgets, self.unit = tuple(sorted(budgets)), unit

    def run(self, spend: float) -> None:
        """Search until `spend` evaluations are spent, a share of them on the later rounds.

        Raises SkipscopeError where nothing fits into the budgets, and where `spend` is too little for full compute.
        """
        population = Population(self.space)
        later = self._cost_of_later_rounds()
        least = later + self.contest.rounds[0] * sum(int(b) for b in self.space.budgets) * len(self._solvers)
        if spend < least:
            raise SkipscopeError(
                f"--samples: too few: the search needs {least:.0f} evaluations of the network for full compute by "
                f"{len(self._solvers)} solvers alone; {spend:.0f} are allowed"
            )
        solvers = self._good_solvers()
        for plan in [*self.space.plain(solvers, self.space.budgets), *self.space.proposals(solvers[:_BEST_SOLVERS])]:
            if self.contest.spent + later > spend:
                break
            if (standing := self._enter(plan)) is not None:
                population.tell_known(plan, standing.candidate.evaluations, standing.loss)
        if not self.contest.standings:
            raise SkipscopeError("--evaluations, --seconds: no solver of this model fits into any of the budgets")
        fruitless = 0
        for proposal in population.proposals():
            if self.contest.spent + later > spend or fruitless >= _FRUITLESS:
                proposal.drop()
                break
            standing = self._enter(proposal.plan, known=False)
            fruitless = fruitless + 1 if standing is None else 0
            if standing is None:
                proposal.drop()
            else:
                proposal.tell(standing.candidate.evaluations, standing.loss)
        for number, best in enumerate(_BEST, start=1):
            if number < len(self.contest.rounds):
                self.contest.promote(number, self.budgets, best, by=self.unit)

    def _good_solvers(self) -> list[str]:
        """Run full compute by every solver at the middle budget, and return those that may be best, the best first.

        Left out is whose loss there is greater than the least one beyond doubt.
        """
        middle = self.space.budgets[len(self.space.budgets) // 2]
        found = {plan.solver: self._enter(plan) for plan in self.space.plain(self.space.solvers, [middle])}
        standings = {solver: standing for solver, standing in found.items() if standing is not None}
        if not standings:
            return list(self.space.solvers)
        best = min(standings.values(), key=lambda standing: standing.loss)
        good = [solver for solver, standing in standings.items() if standing.minus(best).low <= 0]
        return sorted(good, key=lambda solver: standings[solver].loss)

    def choices(self) -> Iterator[Choice]:
        """Yield the choice for each budget into which something fits."""
        for budget in self.budgets:
            ready = within(self.contest.standings, budget, by=self.unit)
            if not ready:
                continue
            plain = next((standing for standing in ready if standing.candidate.is_plain), None)
            yield Choice(budget=budget, chosen=ready[0], plain=plain)

    def _enter(self, plan: SamplingPlan, *, known: bool = True) -> Standing | None:
        """Run a plan in the first round; None for one that cannot be run, costs too much, or (if asked) is known."""
        candidate = self.candidate(plan)
        if candidate is None or getattr(candidate, self.unit) > self.budgets[-1] + 1e-9:
            return None
        if not known and self.contest.known(candidate.policy) is not None:
            return None
        return self.contest.run(candidate, 0)

    def candidate(self, plan: SamplingPlan) -> Candidate | None:
        """Return a plan as a candidate; None where the pipeline or the network cannot carry it out."""
        sampler = self._solvers[plan.solver]
        timesteps = plan.timesteps(int(self._model.scheduler(sampler).config.num_train_timesteps))
        try:
            schedule = plan.schedule(self._model.graph)
            resolved = resolve(self._model.graph, schedule)
            policy = policy_of_run(
                self._model,
                with_steps(sampler, plan.steps, timesteps),
                self.guidance,
                name=_name_of(plan),
                schedule=schedule,
            )
            if policy.sampler.steps != plan.steps:
                return None
        except (ScheduleError, SkipscopeError, ValidationError):
            return None
        return Candidate(
            label=str(plan),
            policy=policy,
            is_plain=schedule.is_empty and plan.placement is None,
            evaluations=self.contest.engine.evaluations(policy),
            seconds=self._cost.seconds(resolved) / self._cost.batch,
        )

    def _cost_of_later_rounds(self) -> float:
        rounds = self.contest.rounds
        return sum(
            budget * (rounds[number] - rounds[number - 1]) * best * 1.3
            for number, best in enumerate(_BEST, start=1)
            if number < len(rounds)
            for budget in self.space.budgets
        )


def _name_of(plan: SamplingPlan) -> str:
    """Return a policy's name, in which few characters are allowed."""
    kept = "".join(letter if letter.isalnum() or letter in "._- " else " " for letter in str(plan))
    return " ".join(kept.split())[:80].strip()
