"""The samplers by name, made from a model folder's scheduler configuration: GLIDE's DDPM, and DDIM."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from diffusers import DDIMScheduler, DDPMScheduler
from diffusers.schedulers.scheduling_ddim import DDIMSchedulerOutput
from diffusers.utils.torch_utils import randn_tensor
from torch import Generator, Tensor

from store.errors import SkipscopeError
from store.sampler import SamplerSettings

_TRAINED = ("num_train_timesteps", "beta_schedule", "beta_start", "beta_end", "trained_betas", "clip_sample_range")


class Scheduler(Protocol):
    """What the sampling loop needs of a diffusers scheduler; one without a memory of earlier steps."""

    config: Any
    timesteps: Tensor
    alphas_cumprod: Tensor

    def step(
        self, model_output: Tensor, timestep: int, sample: Tensor, *, generator: list[Generator], return_dict: bool
    ) -> Any: ...


class SamplerError(SkipscopeError):
    """A sampler that can't be made as configured."""


def make_scheduler(base: Mapping[str, Any], config: SamplerSettings) -> Scheduler:
    """A scheduler with its timesteps set, for a model whose folder holds the scheduler configuration `base`.

    From `base` come the noise schedule (GLIDE's squared cosine unless it says otherwise), the range of pixels and what
    the model's variance means (`learned_range` unless it says otherwise). Raises SamplerError.
    """
    if base.get("prediction_type", "epsilon") != "epsilon":
        raise SamplerError(f"scheduler: prediction_type is {base['prediction_type']!r}; accepted is 'epsilon'")
    trained = {"beta_schedule": "squaredcos_cap_v2", **{key: base[key] for key in _TRAINED if key in base}}
    spaced = {"timestep_spacing": config.spacing, "clip_sample": True, "thresholding": False, "steps_offset": 0}
    scheduler: Any
    if config.name == "ddpm":
        variance = base.get("variance_type", "learned_range")
        scheduler = DDPMScheduler(**trained, **spaced, variance_type=variance)
    else:
        scheduler = SpacedDDIMScheduler(**trained, **spaced)
        scheduler.eta = config.eta
    available = scheduler.config.num_train_timesteps
    if config.steps > available:
        raise SamplerError(f"sampler: steps is {config.steps}; accepted is at most {available}, the model's timesteps")
    scheduler.set_timesteps(config.steps)
    made: Scheduler = scheduler
    return made


class SpacedDDIMScheduler(DDIMScheduler):
    """DDIM that steps to the next of its own timesteps.

    diffusers' steps to `t - num_train_timesteps // steps`. Where steps does not divide num_train_timesteps that is
    another timestep under `trailing` spacing, and the run may end before the clean picture (diffusers 0.42.1); where it
    does the two agree. As GLIDE does, eps is derived again from the clipped `pred_x0`.
    """

    config: Any
    timesteps: Tensor
    alphas_cumprod: Tensor
    eta: float = 0.0

    def set_timesteps(self, num_inference_steps: int, device: torch.device | str | None = None) -> None:
        """As diffusers does, but with exactly `num_inference_steps`: its `trailing` spacing drifts (234 for 233)."""
        super().set_timesteps(num_inference_steps, device)
        if self.config.timestep_spacing == "trailing":
            stride = self.config.num_train_timesteps / num_inference_steps
            left = torch.arange(num_inference_steps, 0, -1, dtype=torch.float64, device=device)
            self.timesteps = (left * stride).round().long() - 1

    def step(
        self,
        model_output: Tensor,
        timestep: int,
        sample: Tensor,
        eta: float | None = None,
        use_clipped_model_output: bool = True,
        generator: Generator | list[Generator] | None = None,
        variance_noise: Tensor | None = None,
        return_dict: bool = True,
    ) -> DDIMSchedulerOutput | tuple[Tensor, Tensor]:
        """One step by equation 12 of DDIM (arXiv 2010.02502); shapes (B, C, H, W). `eta` None is the scheduler's."""
        eta = self.eta if eta is None else eta
        # The coefficients are Python's floats: 1 - alpha_bar_next - sigma**2 cancels, and float32 would lose it.
        alpha_bar, alpha_bar_next = float(self.alphas_cumprod[timestep]), self._alpha_bar_after(timestep)
        pred_x0 = (sample - math.sqrt(1 - alpha_bar) * model_output) / math.sqrt(alpha_bar)
        if self.config.clip_sample:
            pred_x0 = pred_x0.clamp(-self.config.clip_sample_range, self.config.clip_sample_range)
        eps = model_output
        if use_clipped_model_output:
            eps = (sample - math.sqrt(alpha_bar) * pred_x0) / math.sqrt(1 - alpha_bar)
        sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
        x_next = math.sqrt(alpha_bar_next) * pred_x0 + math.sqrt(max(0.0, 1 - alpha_bar_next - sigma**2)) * eps
        if eta > 0:
            if variance_noise is None:
                variance_noise = randn_tensor(sample.shape, generator=generator, device=sample.device, dtype=eps.dtype)
            x_next = x_next + sigma * variance_noise
        if not return_dict:
            return x_next, pred_x0
        return DDIMSchedulerOutput(prev_sample=x_next, pred_original_sample=pred_x0)

    def _alpha_bar_after(self, timestep: int) -> float:
        """`alpha_bar` of the timestep that follows, 1 after the last."""
        here = int((self.timesteps == timestep).nonzero()[0])
        if here + 1 == len(self.timesteps):
            return 1.0
        return float(self.alphas_cumprod[self.timesteps[here + 1]])
