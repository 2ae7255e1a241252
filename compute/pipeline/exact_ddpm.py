"""DDPM with its noise levels in double precision, as OpenAI's code has them.

diffusers' tables are float32. The posterior variance is a difference of two of their numbers, of which at few noise
few digits are left: 9e-4 of it is wrong at t = 38 of GLIDE's squared cosine (diffusers 0.42.1). Samples stay float32.
"""

from __future__ import annotations

import math
from functools import wraps
from typing import Any

import torch
from diffusers import DDPMScheduler, SchedulerMixin
from torch import Tensor

__all__ = ["ExactDDPMScheduler", "SchedulerMixin", "use_exact_tables"]  # diffusers looks for SchedulerMixin here
_LARGEST_BETA = 0.999


class ExactDDPMScheduler(DDPMScheduler):
    """diffusers' DDPM with betas and their products in float64; betas are squared-cosine or linear."""

    @wraps(DDPMScheduler.__init__)  # type: ignore[misc]  # diffusers reads the options from the signature
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        use_exact_tables(self)


def use_exact_tables(scheduler: Any) -> None:
    """Compute a scheduler's betas, alphas and their products anew in float64. Raises ValueError for other betas."""
    scheduler.betas = _betas(scheduler.config)
    scheduler.alphas = 1 - scheduler.betas
    scheduler.alphas_cumprod = torch.cumprod(scheduler.alphas, dim=0)
    scheduler.one = torch.ones((), dtype=torch.float64)


def _betas(config: Any) -> Tensor:
    """Return the betas of GLIDE's base (arXiv 2102.09672, equation 17) or of its upsampler, in float64."""
    total = int(config.num_train_timesteps)
    if config.trained_betas is None and config.beta_schedule == "linear":
        return torch.linspace(config.beta_start, config.beta_end, total, dtype=torch.float64)
    if config.trained_betas is None and config.beta_schedule == "squaredcos_cap_v2":
        alpha_bar = [math.cos((t / total + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(total + 1)]
        return torch.tensor(
            [min(1 - alpha_bar[t + 1] / alpha_bar[t], _LARGEST_BETA) for t in range(total)], dtype=torch.float64
        )
    raise ValueError(f"beta_schedule: {config.beta_schedule!r} is not accepted; squaredcos_cap_v2 and linear are")
