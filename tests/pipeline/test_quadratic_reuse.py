"""A dropped step whose output lies on the parabola through the last three computed ones."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch

from compute.pipeline.output_reuse import OutputHistory, ReuseError
from compute.pipeline.step_coefficients import StepCoefficients
from store.records import Action

HALF = math.sqrt(0.5)
AT = StepCoefficients(alpha=HALF, sigma=HALF, skip=1 / HALF, out=-1.0, predicts_eps=True, clip=1.0)
COMPUTED = {0: 0.9, 2: 0.1, 4: 0.3, 5: 0.2}
"""The eps of each computed step; where x_t is 0, x0 is -eps."""


@pytest.mark.parametrize("step", [6, 8])
@pytest.mark.parametrize("space", ["eps", "x0"])
def test_the_output_lies_on_the_parabola_through_three_uneven_steps(step: int, space: Literal["eps", "x0"]) -> None:
    history, x_t = OutputHistory(), torch.zeros(1, 3, 2, 2)
    for computed, eps in COMPUTED.items():
        history.write(computed, x_t, torch.full((1, 3, 2, 2), eps), AT)
    weights = {  # Lagrange's, of the last three
        2: (step - 4) * (step - 5) / ((2 - 4) * (2 - 5)),
        4: (step - 2) * (step - 5) / ((4 - 2) * (4 - 5)),
        5: (step - 2) * (step - 4) / ((5 - 2) * (5 - 4)),
    }
    expected = sum(weight * COMPUTED[computed] for computed, weight in weights.items())
    if space == "x0":
        expected = min(1.0, max(-1.0, expected))
    reused = history.reuse(Action(name="reuse", order=2, space=space), step, x_t, AT)
    torch.testing.assert_close(reused, torch.full((1, 3, 2, 2), expected))


def test_two_computed_steps_are_too_few() -> None:
    history, x_t = OutputHistory(), torch.zeros(1, 3, 2, 2)
    for step in (0, 1):
        history.write(step, x_t, x_t, AT)
    with pytest.raises(ReuseError, match=r"step 2 reuses unet at order 2, but 2 earlier steps .* it needs 3"):
        history.reuse(Action(name="reuse", order=2, space="eps"), 2, x_t, AT)
