"""Policies for another number of steps: which old step each new one follows, and what is dropped."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.policy.schedule import Schedule
from compute.policy.skip_policy import PolicyError, SkipPolicy
from tests.policy.policies import SIMPLE, policies, policy_of, schedules


@settings(max_examples=60, deadline=None)
@given(schedules(), st.integers(1, 40))
def test_new_steps_have_the_actions_of_their_old_step(schedule: Schedule, steps: int) -> None:
    old = policy_of(schedule, sampler="ddim")
    new = old.resampled(steps)
    assert new.sampler.steps == new.schedule.steps == steps
    for step in range(steps):
        assert new.schedule.at(step) == schedule.at(int(step / steps * schedule.steps + 1e-9))
    assert new.schedule.at(0) == schedule.at(0)
    assert SkipPolicy.loads(new.dumps()) == new
    if steps % schedule.steps == 0:
        assert new.resampled(schedule.steps).schedule == schedule, "an old step returns from its first new step"


@settings(max_examples=20, deadline=None)
@given(policies(), st.integers(1, 40))
def test_measurements_are_dropped(policy: SkipPolicy, steps: int) -> None:
    if steps == 1 != policy.sampler.steps and policy.sampler.name == "ddpm":
        with pytest.raises(PolicyError, match="steps of ddpm is at least 2"):
            policy.resampled(steps)
        return
    before, new = copy.deepcopy(policy), policy.resampled(steps)
    assert policy == before
    if steps == policy.sampler.steps:
        assert new is policy
        return
    assert new.prediction is None
    assert new.validation is None
    assert new.provenance["resampled"].endswith(f"from {policy.sampler.steps} to {steps} steps")
    assert (new.model, new.guidance, new.name) == (policy.model, policy.guidance, policy.name)


def test_provenance_lists_every_change_of_steps() -> None:
    assert SIMPLE.resampled(50).resampled(10).provenance["resampled"] == "from 25 to 50 steps; from 50 to 10 steps"


def test_impossible_numbers_of_steps_are_refused() -> None:
    for steps in (0, -5, 1001):
        with pytest.raises(PolicyError, match=f"steps: {steps} is no number of steps; 1 to 1000 are accepted"):
            SIMPLE.resampled(steps)
