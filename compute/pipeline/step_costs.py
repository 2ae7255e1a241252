"""Measures on a fine run how far one solver step misses that jumps over steps of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from compute.pipeline.follow import RunFollower, following
from compute.pipeline.followed_step import Step
from compute.pipeline.run_steps import FollowError
from compute.policy.placed_steps import StepCosts
from compute.policy.skip_policy import SkipPolicy


def measure_step_costs(pipe: Any, fine: SkipPolicy, run: Callable[[], Any]) -> StepCosts:
    """Return the cost of each jump over the fine run that `run` makes on a pipeline whose sampler is that of `fine`.

    A jump from a state is DDIM's step (arXiv 2010.02502, equation 12, without noise) with the prediction of that state.
    Errors are RMS distances over all pictures of the run. Raises FollowError for a run of other steps, or of several
    runs.
    """
    at = fine.scheduler
    if at is None or not at.alphas:
        raise FollowError(f"pipe: the noise levels of {fine.sampler.name} are not known, so no jump can be computed")
    states: list[Tensor] = []
    clean: list[Tensor] = []

    def keep(step: Step) -> None:
        states.append(step.x_t.detach().float())
        clean.append(step.pred_x0.detach().float())
        if step.index == fine.sampler.steps - 1:
            states.append(step.x_next.detach().float())

    with torch.no_grad(), following(pipe, pipe.unet, RunFollower(pipe, on_step=keep)):
        run()
    if len(clean) != fine.sampler.steps or len(states) != len(clean) + 1:
        raise FollowError(f"run: it made {len(clean)} steps; one run of {fine.sampler.steps} is measured")
    alphas, sigmas = (*at.alphas, 1.0), (*at.sigmas, 0.0)
    costs = tuple(_row(index, states, clean[index], alphas, sigmas) for index in range(len(clean)))
    timesteps = fine.timesteps
    assert timesteps is not None, "policies for a pipeline hold them"
    return StepCosts(timesteps=timesteps, costs=costs)


def _row(
    index: int, states: Sequence[Tensor], pred_x0: Tensor, alphas: Sequence[float], sigmas: Sequence[float]
) -> tuple[float, ...]:
    """Return the errors of the jumps from one fine step to each later one."""
    eps = (states[index] - alphas[index] * pred_x0) / sigmas[index]
    later = itertools.islice(zip(states, alphas, sigmas, strict=True), index + 1, None)
    return tuple(float((alpha * pred_x0 + sigma * eps - x).square().mean().sqrt()) for x, alpha, sigma in later)
