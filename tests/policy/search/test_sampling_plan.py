"""Sampling plans: where their steps lie, what rests, and that parameters and plans say the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.policy.graph import GUIDANCE
from compute.policy.search.plan_space import PlanSpace
from compute.policy.search.sampling_plan import SamplingPlan
from store.records import Action
from tests.policy.graphs import chain

GRAPH = chain("a", "b", "c", "d", skips=(("a", "d"), ("b", "c")))
SPACE = PlanSpace(solvers=("DDIM", "UniPC"), placed=("DDIM",), budgets=(4.0, 6.0), guided=True, branches=2)


@given(steps=st.integers(2, 60), placement=st.floats(0.2, 5), trained=st.integers(60, 1000))
def test_steps_descend_and_end_above_the_clean_picture(steps: int, placement: float, trained: int) -> None:
    timesteps = SamplingPlan(solver="DDIM", steps=steps, placement=placement).timesteps(trained)
    assert timesteps is not None and len(timesteps) == steps
    assert timesteps[0] == trained - 1
    assert timesteps[-1] >= 0
    assert all(later < earlier for earlier, later in zip(timesteps, timesteps[1:], strict=False))


def test_an_exponent_of_one_spaces_evenly_and_more_moves_steps_to_little_noise() -> None:
    even = SamplingPlan(solver="DDIM", steps=5, placement=1.0).timesteps(1000)
    late = SamplingPlan(solver="DDIM", steps=5, placement=2.0).timesteps(1000)
    assert even == (999, 799, 599, 399, 199)
    assert late == (999, 639, 359, 159, 39)
    assert SamplingPlan(solver="DDIM", steps=5).timesteps(1000) is None


def test_guidance_rests_after_the_guided_steps_but_for_every_third() -> None:
    schedule = SamplingPlan(solver="DDIM", steps=8, guided=2, refresh=3).schedule(GRAPH)
    assert sorted(schedule.actions) == [2, 3, 5, 6]
    assert schedule.action(2, GUIDANCE) == Action(name="reuse")
    left_out = SamplingPlan(solver="DDIM", steps=3, guided=1, rest="leave out").schedule(GRAPH)
    assert [left_out.action(step, GUIDANCE).name for step in range(3)] == ["compute", "bypass", "bypass"]


def test_layers_below_a_branch_are_reused_between_the_steps_that_compute_them() -> None:
    schedule = SamplingPlan(solver="DDIM", steps=7, interval=3, branch=0, cached_from=1).schedule(GRAPH)
    assert sorted(schedule.actions) == [2, 3, 5, 6]
    assert schedule.at(2) == {"c": Action(name="reuse")}  # what comes up into the last concatenation
    assert SamplingPlan(solver="DDIM", steps=7).schedule(GRAPH).is_empty


values = st.fixed_dictionaries({name: st.sampled_from(found) for name, found in SPACE.parameters.items()})


@given(chosen=values)
def test_a_plan_is_the_same_after_being_turned_into_parameters_and_back(chosen: dict[str, object]) -> None:
    plan = SPACE.plan(chosen)
    assert SPACE.plan(SPACE.values(plan)) == plan


@given(chosen=values)
def test_a_plan_repeats_only_a_difference_that_was_computed(chosen: dict[str, object]) -> None:
    plan = SPACE.plan(chosen)
    if plan.guided is not None and plan.rest != "leave out":
        assert plan.guided >= (2 if plan.rest == "extrapolate" else 1)
    if plan.solver == "UniPC":
        assert plan.placement is None


def test_plans_that_run_the_same_are_equal() -> None:
    fields = {"solver": "UniPC", "steps": 4, "placement": 0.8, "guided": 4, "rest": "leave out", "refresh": 2}
    idle = {"interval": 1, "branch": 1, "cached_from": 3}
    assert SPACE.plan(fields | idle) == SamplingPlan(solver="UniPC", steps=4)


def test_proposals_cost_about_a_budget_each_and_belong_to_the_space() -> None:
    proposals = list(SPACE.proposals(SPACE.solvers))
    assert {plan.guided is None for plan in proposals} == {True, False}
    for plan in proposals:
        guided = plan.steps if plan.guided is None else plan.guided
        cost = guided + (plan.steps - guided) / 2
        assert any(budget - 0.5 <= cost <= budget for budget in SPACE.budgets)
        assert plan.guided is not None or plan.placement is not None
        assert SPACE.plan(SPACE.values(plan)) == plan


def test_without_guidance_in_one_batch_no_parameter_rests_it() -> None:
    space = PlanSpace(solvers=("DDIM",), placed=(), budgets=(4.0,), guided=False, branches=0)
    assert set(space.parameters) == {"solver", "steps", "placement"}
    assert list(space.proposals(space.solvers)) == []
    assert space.plan({"solver": "DDIM", "steps": 4, "placement": None}) == SamplingPlan(solver="DDIM", steps=4)


@pytest.mark.parametrize("fields", [{"steps": 1}, {"interval": 0}, {"placement": 0.0}, {"rest": "nothing"}])
def test_fields_out_of_range_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        SamplingPlan.model_validate({"solver": "DDIM", "steps": 4} | fields)
