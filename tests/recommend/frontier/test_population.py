"""The population proposes plans of its space, the same ones for the same results, and better ones with time."""

from __future__ import annotations

from itertools import islice

from compute.policy.search.plan_space import PlanSpace
from compute.policy.search.sampling_plan import SamplingPlan
from compute.recommend.frontier.population import Population

SPACE = PlanSpace(solvers=("DDIM", "UniPC"), placed=("DDIM",), budgets=(8.0,), guided=True, branches=2)


def loss_of(plan: SamplingPlan) -> float:
    """A loss that one solver and few guided steps make small."""
    guided = plan.steps if plan.guided is None else plan.guided
    return abs(guided - 3) + (plan.solver == "UniPC") + 1 / plan.steps


def told(count: int, seed: int = 0) -> list[SamplingPlan]:
    population = Population(SPACE, seed)
    population.tell_known(SamplingPlan(solver="DDIM", steps=8), 8.0, 5.0)
    plans = []
    for proposal in islice(population.proposals(), count):
        plans.append(proposal.plan)
        proposal.tell(float(proposal.plan.steps), loss_of(proposal.plan))
    return plans


def test_the_same_results_give_the_same_proposals() -> None:
    assert told(60) == told(60)
    assert told(60) != told(60, seed=1)


def test_later_plans_are_better_than_the_first() -> None:
    losses = [loss_of(plan) for plan in told(240)]
    assert sum(losses[-48:]) < 0.5 * sum(losses[:48])


def test_a_dropped_proposal_is_no_obstacle() -> None:
    population = Population(SPACE)
    proposals = population.proposals()
    next(proposals).drop()
    proposal = next(proposals)
    proposal.tell(1.0, 1.0)
    assert proposal.plan.solver in SPACE.solvers
