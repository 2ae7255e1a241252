"""A reuse of the whole network by weights: repetition, extrapolation and solvers are special cases."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from compute.pipeline.output_reuse import OutputHistory
from compute.pipeline.step_coefficients import StepCoefficients
from store.records import Action
from store.sampler import SamplerSettings
from tests.pipeline.test_output_reuse import SHAPE, UNetActions, each_sampler, reuse, run, scripted


@each_sampler
@pytest.mark.parametrize("space", ["eps", "x0"])
def test_weights_repeat_and_extrapolate(config: SamplerSettings, space: Any) -> None:
    """Step 5 reads steps 4 and 3; step 6, which follows a dropped one, too."""
    for order, weights in ((0, {5: (1.0,), 6: (1.0,)}), (1, {5: (2.0, -1.0), 6: (3.0, -2.0)})):
        plain = run(scripted(config), config, UNetActions({5: reuse(order, space), 6: reuse(order, space)}))
        actions = {step: Action(name="reuse", space=space, weights=own) for step, own in weights.items()}
        weighted = run(scripted(config), config, UNetActions(actions))
        for one, other in zip(plain, weighted, strict=True):
            torch.testing.assert_close(one.x_next, other.x_next, atol=1e-5, rtol=1e-5)


def test_the_coefficients_of_a_multistep_solver_and_a_state() -> None:
    """DPM-Solver++ 2M (arXiv 2211.01095, algorithm 2) takes (1 + 1/2r) x0 - 1/2r x0' for the clean sample of a step."""
    history, x_t, half = OutputHistory(3), torch.full((1, *SHAPE), 0.2), math.sqrt(0.5)
    at = StepCoefficients(alpha=half, sigma=half, skip=1 / half, out=-1.0, predicts_eps=True)
    pictures = [torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    for step, picture in enumerate(pictures):
        history.write(step, x_t, at.output_of_x0(x_t, picture), at)
    r = 0.8
    solver = Action(name="reuse", space="x0", weights=(1 + 1 / (2 * r), -1 / (2 * r)))
    taken = at.pred_x0(x_t, history.reuse(solver, 3, x_t, at))
    torch.testing.assert_close(taken, (1 + 1 / (2 * r)) * pictures[2] - 1 / (2 * r) * pictures[1])
    stated = Action(name="reuse", space="x0", weights=(0.5, 0.0, 0.25), state=2.0)
    taken = at.pred_x0(x_t, history.reuse(stated, 3, x_t, at))
    torch.testing.assert_close(taken, 0.5 * pictures[2] + 0.25 * pictures[0] + 0.4)
