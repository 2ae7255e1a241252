"""Rules: the fewest that describe a schedule, and refusals of rules that contradict each other or leave the run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from compute.policy.rules import rules_of
from compute.policy.schedule import Schedule
from tests.policy.policies import document, policy_of, schedules, unet_rule
from tests.policy.refusals import refusal


@settings(max_examples=60, deadline=None)
@given(schedules())
def test_rules_and_schedule_are_equivalent(schedule: Schedule) -> None:
    policy = policy_of(schedule)
    assert policy.schedule == schedule
    assert rules_of(policy.schedule) == policy.rules


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([unet_rule(0, 26)], "rules: window 0-25 lies outside the run: steps 0 to 24 exist"),
        ([unet_rule(0, 10**30)], "lies outside the run"),
        ([unet_rule(3, 3)], "rules.0.window: window [3, 3) is empty: stop must be greater than start"),
        (
            [unet_rule(3, 5), unet_rule(4, 6, order=1)],
            "rules: unet has the actions reuse and reuse (order 1) at step 4; one is accepted",
        ),
        ([unet_rule(3, 5, name="compute")], "rules: compute is the default of every component: leave it out"),
        ([unet_rule(3, 5, name="sleep")], "rules.0.action.name: Input should be 'compute', 'bypass'"),
        ([unet_rule(3, 5, order=True)], "rules.0.action.order"),
        (
            [unet_rule(start, 25) | {"components": [str(i) for i in range(1000)]} for start in range(25)],
            "rules: hold more than 200000 actions",
        ),
    ],
)
def test_refused_rules(rules: list[dict[str, Any]], message: str) -> None:
    assert message in refusal(document(rules=rules))
