"""Tries a scheduler's steps on numbers of its own before a model is spent on them."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import torch

from compute.pipeline.for_pipeline import set_steps
from compute.pipeline.probe import RUN_ERRORS, refusal
from compute.policy.skip_policy import PolicyError

_CHANNELS = 3


def check_runs(scheduler: Any, steps: int, given: Mapping[str, tuple[float, ...]]) -> None:
    """Make all steps of a scheduler on a small state, with outputs of zeros. Raises PolicyError where that fails.

    Some noise schedules begin so close to pure noise that a solver's numbers leave float32, or that several of its
    timesteps are the same.
    """
    own = copy.deepcopy(scheduler)
    set_steps(own, steps, given)
    what = f"sampler: a {type(own).__name__} cannot run {len(own.timesteps)} steps of this model's noise schedule"
    try:
        finite = _run(own)
    except RUN_ERRORS as error:
        raise PolicyError(f"{what}: {refusal(error)}") from None
    if not finite:
        raise PolicyError(f"{what}: its numbers become infinite; name another sampler, spacing or number of steps")


def _run(scheduler: Any) -> bool:
    """Run a scheduler whose timesteps are set, and return whether the result is finite."""
    reads_sigma = "variance_type" in inspect.signature(type(scheduler)).parameters
    learned = reads_sigma and str(scheduler.config.get("variance_type")).startswith("learned")
    generator = torch.Generator().manual_seed(0)
    extra = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
    state = torch.randn(1, _CHANNELS, 2, 2, generator=generator) * scheduler.init_noise_sigma
    with torch.no_grad():
        for timestep in scheduler.timesteps:
            scheduler.scale_model_input(state, timestep)
            output = torch.zeros(1, _CHANNELS * (2 if learned else 1), 2, 2)
            state = scheduler.step(output, timestep, state, **extra, return_dict=False)[0]
    return bool(torch.isfinite(state).all())
