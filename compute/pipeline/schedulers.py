"""Makes schedulers from sampler settings and a model's scheduler configuration."""

from __future__ import annotations

import difflib
import inspect
import itertools
import math
from collections.abc import Mapping
from typing import Any

import diffusers
import torch
from diffusers import DDIMScheduler, DDPMScheduler, SchedulerMixin
from diffusers.schedulers.scheduling_ddim import DDIMSchedulerOutput
from diffusers.utils.torch_utils import randn_tensor
from torch import Generator, Tensor

from compute.pipeline.exact_ddpm import ExactDDPMScheduler, use_exact_tables
from store.errors import SkipscopeError
from store.sampler import OWN_SAMPLERS, SamplerSettings

PREDICTION_TYPES = ("epsilon", "v_prediction", "sample")
"""What `ddpm` and `ddim` take."""
_TRAINED_WITH = ("num_train_timesteps", "beta_schedule", "beta_start", "beta_end", "trained_betas", "clip_sample_range")


class SamplerError(SkipscopeError):
    """Sampler settings that a model does not allow."""


def make_scheduler(base: Mapping[str, Any], settings: SamplerSettings) -> Any:
    """Return a scheduler for a model whose folder has the scheduler configuration `base`.

    `base` determines what the model was trained with: the noise schedule, what it predicts, the range of its samples.
    The samplers `ddpm` and `ddim` are for the PREDICTION_TYPES; they take GLIDE's squared cosine and, for DDPM, its
    `learned_range` where `base` does not say otherwise. The timesteps of a diffusers class are not set yet.

    Raises SamplerError for a class that diffusers lacks, for options that the class lacks, and for settings that the
    model does not allow.
    """
    is_own = settings.name in OWN_SAMPLERS
    scheduler = _own_scheduler(base, settings) if is_own else _diffusers_scheduler(base, settings)
    scheduler.made_from = dict(base)
    return scheduler


def base_configuration(scheduler: Any) -> dict[str, Any]:
    """Return what a pipeline's model was trained with: the configuration that `make_scheduler` made its scheduler from.

    Of a scheduler that comes from elsewhere it is its own configuration.
    """
    return dict(getattr(scheduler, "made_from", scheduler.config))


def _own_scheduler(base: Mapping[str, Any], settings: SamplerSettings) -> Any:
    """Return the scheduler of `ddpm` or `ddim`, with its timesteps set."""
    prediction = str(base.get("prediction_type", "epsilon"))
    if prediction not in PREDICTION_TYPES:
        raise SamplerError(
            f"sampler: prediction_type is {prediction!r}; {settings.name} is for models that predict "
            f"{', '.join(PREDICTION_TYPES)}: name a diffusers scheduler"
        )
    options: dict[str, Any] = {
        "beta_schedule": "squaredcos_cap_v2",
        "prediction_type": prediction,
        **{key: base[key] for key in _TRAINED_WITH if key in base},
        "timestep_spacing": settings.spacing,
        "clip_sample": base.get("clip_sample", True),
        "thresholding": False,
        "steps_offset": 0,
    }
    scheduler: Any
    is_exact = base.get("_class_name") == ExactDDPMScheduler.__name__
    if settings.name == "ddpm":
        default = "fixed_small" if "beta_schedule" in base else "learned_range"
        kind = ExactDDPMScheduler if is_exact else DDPMScheduler
        scheduler = kind(**options, variance_type=base.get("variance_type", default))
    else:
        scheduler = SpacedDDIMScheduler(**options)
        scheduler.eta = settings.eta
        if is_exact:
            use_exact_tables(scheduler)
    _set_timesteps(scheduler, settings)
    return scheduler


def _set_timesteps(scheduler: Any, settings: SamplerSettings) -> None:
    most = scheduler.config.num_train_timesteps
    if settings.steps > most:
        raise SamplerError(f"sampler: steps is {settings.steps}; accepted is at most {most}, the model's timesteps")
    if settings.timesteps is None:
        scheduler.set_timesteps(settings.steps)
        return
    try:
        scheduler.set_timesteps(timesteps=[int(t) for t in settings.timesteps])
    except ValueError as error:
        raise SamplerError(f"sampler.timesteps: {error}") from error


def _diffusers_scheduler(base: Mapping[str, Any], settings: SamplerSettings) -> Any:
    """Return a scheduler of a diffusers class with the model's configuration and the settings' options."""
    kind: Any = getattr(diffusers, settings.name, None)
    if not (isinstance(kind, type) and issubclass(kind, SchedulerMixin)):
        near = difflib.get_close_matches(settings.name, _scheduler_names(), n=3)
        raise SamplerError(f"sampler.name: diffusers has no {settings.name}; near names: {', '.join(near) or 'none'}")
    accepted = inspect.signature(kind).parameters
    for option in settings.options:
        if option not in accepted:
            raise SamplerError(
                f"sampler.options: a {settings.name} has no {option!r}; it has {', '.join(sorted(accepted))}"
            )
    try:
        return kind.from_config(dict(base), **settings.options)  # type: ignore[attr-defined]
    except (ValueError, NotImplementedError, TypeError, ImportError) as error:
        raise SamplerError(f"sampler: {settings.name}: {str(error).splitlines()[0][:300]}") from error


def _scheduler_names() -> list[str]:
    return [name for name in dir(diffusers) if name.endswith("Scheduler")]


class SpacedDDIMScheduler(DDIMScheduler):
    """A DDIM scheduler that steps from each of its timesteps to the next one.

    diffusers' own steps to `t - num_train_timesteps // steps`. Where steps does not divide num_train_timesteps, that is
    not the next timestep under `trailing` spacing, and the run may end before the clean picture (diffusers 0.42.1);
    where it does, both compute the same. As in GLIDE, eps is computed again from the clipped `pred_x0`.
    """

    config: Any
    timesteps: Tensor
    alphas_cumprod: Tensor
    eta: float = 0.0

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: torch.device | str | None = None,
        timesteps: list[int] | None = None,
    ) -> None:
        """Set exactly `num_inference_steps` timesteps; diffusers may set one more under `trailing` (234 for 233).

        `timesteps` replaces them; any that descend are accepted. Raises ValueError.
        """
        if timesteps is not None:
            most = self.config.num_train_timesteps
            descend = all(later < earlier for earlier, later in itertools.pairwise(timesteps))
            if not timesteps or not descend or not 0 <= timesteps[-1] <= timesteps[0] < most:
                raise ValueError(f"they must descend and lie from 0 to {most - 1}")
            self.num_inference_steps = len(timesteps)
            self.timesteps = torch.tensor(timesteps, dtype=torch.long, device=device)
            return
        assert num_inference_steps is not None, "timesteps or their number"
        super().set_timesteps(num_inference_steps, device)
        if self.config.timestep_spacing == "trailing":
            stride = self.config.num_train_timesteps / num_inference_steps
            remaining = torch.arange(num_inference_steps, 0, -1, dtype=torch.float64, device=device)
            self.timesteps = (remaining * stride).round().long() - 1

    def step(
        self,
        model_output: Tensor,
        timestep: int | Tensor,
        sample: Tensor,
        eta: float | None = None,
        use_clipped_model_output: bool = True,
        generator: Generator | list[Generator] | None = None,
        variance_noise: Tensor | None = None,
        return_dict: bool = True,
    ) -> DDIMSchedulerOutput | tuple[Tensor, Tensor]:
        """Make a step by equation 12 of DDIM (arXiv 2010.02502); shapes are (B, C, H, W).

        `eta` is by default the scheduler's attribute. The other arguments are diffusers'.
        """
        eta = self.eta if eta is None else eta
        # The coefficients are float64: in float32 the difference 1 - alpha_bar_next - sigma**2 would lose its digits.
        alpha_bar, alpha_bar_next = float(self.alphas_cumprod[timestep]), self._alpha_bar_after(timestep)
        pred_x0, eps = self._predictions(model_output, sample, alpha_bar)
        if self.config.clip_sample:
            pred_x0 = pred_x0.clamp(-self.config.clip_sample_range, self.config.clip_sample_range)
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

    def _predictions(self, output: Tensor, sample: Tensor, alpha_bar: float) -> tuple[Tensor, Tensor]:
        """Return `pred_x0`, not clipped, and eps of a model output."""
        alpha, sigma = math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
        if self.config.prediction_type == "v_prediction":  # arXiv 2202.00512, appendix D
            return alpha * sample - sigma * output, alpha * output + sigma * sample
        if self.config.prediction_type == "sample":
            return output, (sample - alpha * output) / sigma
        return (sample - sigma * output) / alpha, output

    def _alpha_bar_after(self, timestep: int | Tensor) -> float:
        """Return `alpha_bar` of the timestep after `timestep`, 1 after the last."""
        index = int((self.timesteps == timestep).nonzero()[0])
        if index + 1 == len(self.timesteps):
            return 1.0
        return float(self.alphas_cumprod[self.timesteps[index + 1]])
