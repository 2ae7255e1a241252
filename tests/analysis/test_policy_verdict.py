"""The verdict on a policy beside fewer steps names the better one, and no difference where none is seen."""

from __future__ import annotations

import pytest

from compute.analysis.report.policy_verdict import policy_verdict
from tests.dashboard.validated_policies import run_quality, validation


@pytest.mark.parametrize(
    ("speed", "quality", "advice"),
    [
        (1.0, 1.0, "No difference between the two is seen: choose full compute with 8 steps, unless"),
        (1.5, 1.0, "Choose the policy over full compute with 8 steps."),
        (1.0, 1.5, "Choose the policy over full compute with 8 steps."),
        (0.5, 1.0, "Choose full compute with 8 steps, unless"),
        (0.5, 0.5, "Choose full compute with 8 steps, unless"),
        (1.5, 0.5, "Choose the policy for speed, full compute with 8 steps for quality."),
        (0.5, 1.5, "Choose full compute with 8 steps for speed, the policy for quality."),
    ],
)
def test_the_advice_follows_speed_and_quality(speed: float, quality: float, advice: str) -> None:
    runs = (
        run_quality("full", 1.0, 0.6),
        run_quality("policy", 2 * speed, 0.6 * quality),
        run_quality("fewer_steps", 2.0, 0.6),
    )
    sentence = policy_verdict(validation(runs=runs))
    assert advice in sentence
    assert f"{2 * speed:.2f} times as fast as full compute" in sentence


def test_what_was_not_measured_is_said() -> None:
    runs = (run_quality("full", 1.0, 0.6), run_quality("policy", 2.0, 0.6))
    assert "fewer steps were not measured" in policy_verdict(validation(runs=runs))
    blind = tuple(run_quality(name, 2.0, 0.6, fidelity={}) for name in ("full", "policy", "fewer_steps"))
    assert "was not measured" in policy_verdict(validation(runs=blind))
