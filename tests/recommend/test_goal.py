"""Goals of command line options, and refusals of options that are none."""

from __future__ import annotations

import pytest

from compute.recommend.goal import Goal, NoRecommendation, goals_of


@pytest.mark.parametrize(
    ("damage", "speedup", "message"),
    [
        (None, None, "--max-damage, --min-speedup: give one of the two"),
        ("0.1", 1.5, "--max-damage, --min-speedup: give one of the two"),
        ("much", None, "--max-damage: 'much' is not understood; write 0.01"),
        ("", None, "--max-damage: '' is not understood"),
        ("0.1,,0.2", None, "is not understood"),
        ("0", None, "is not understood"),
        ("-1", None, "is not understood"),
        ("nan", None, "is not understood"),
        ("inf", None, "is not understood"),
        ("1e9", None, "is not understood"),
        ("x" * 5000, None, "is not understood"),
        (None, 1.0, "--min-speedup: 1; a number above 1 is accepted"),
        (None, float("nan"), "--min-speedup: nan; a number above 1"),
        (None, float("inf"), "--min-speedup: inf; a number above 1"),
    ],
)
def test_options_that_are_no_goal(damage: str | None, speedup: float | None, message: str) -> None:
    with pytest.raises(NoRecommendation) as refusal:
        goals_of("mse", damage, speedup)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 200


def test_several_budgets_are_several_goals_with_names_of_their_own() -> None:
    goals = goals_of("mse", "0.03,0.01,0.01,0.0100001", None)
    assert [goal.max_damage for goal in goals] == [0.01, 0.0100001, 0.03]
    assert len({goal.name for goal in goals}) == 3
    assert goals_of("ssim", None, 1.5) == [Goal(metric="ssim", min_speedup=1.5)]
