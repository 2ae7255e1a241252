"""What a model output means at a step: the linear maps between it, eps and the prediction of the clean sample.

With a scheduler's `alpha` and `sigma` of a step, `x_t = alpha * x0 + sigma * eps`. For every prediction type the clean
sample is `pred_x0 = skip * x_t + out * output`, so these four numbers say all that a conversion needs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from diffusers import IPNDMScheduler
from jaxtyping import Float
from torch import Tensor

from store.errors import SkipscopeError


class UnsupportedScheduler(SkipscopeError):
    """A scheduler that cannot be followed; the message names its class and the reason."""


@dataclass(frozen=True, kw_only=True)
class StepCoefficients:
    """The coefficients of one step, and the range that the scheduler clips the predicted clean sample to."""

    alpha: float
    """The share of the clean sample in `x_t`."""
    sigma: float
    """The share of noise in `x_t`."""
    skip: float
    """The factor of `x_t` in `pred_x0`."""
    out: float
    """The factor of the model output in `pred_x0`."""
    predicts_eps: bool
    """Whether the model output is eps itself."""
    clip: float = math.inf

    def pred_x0(
        self, x_t: Float[Tensor, "B C H W"], output: Float[Tensor, "B C H W"], *, clipped: bool = True
    ) -> Float[Tensor, "B C H W"]:
        """Return the predicted clean sample of a model output without its learned sigma."""
        x0 = self.skip * x_t + self.out * output
        return x0.clamp(-self.clip, self.clip) if clipped and math.isfinite(self.clip) else x0

    def eps(self, x_t: Float[Tensor, "B C H W"], output: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return the predicted noise of a model output without its learned sigma."""
        if self.predicts_eps:
            return output
        return (x_t - self.alpha * self.pred_x0(x_t, output, clipped=False)) / self.sigma

    def output_of_x0(self, x_t: Float[Tensor, "B C H W"], x0: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return the model output whose predicted clean sample is `x0`."""
        return (x0 - self.skip * x_t) / self.out

    def output_of_eps(self, x_t: Float[Tensor, "B C H W"], eps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return the model output whose predicted noise is `eps`."""
        return eps if self.predicts_eps else self.output_of_x0(x_t, (x_t - self.sigma * eps) / self.alpha)


def step_coefficients(scheduler: Any, index: int, timestep: float) -> StepCoefficients:
    """Return the coefficients of a step before its scheduler steps.

    `index` is the position in `scheduler.timesteps`, `timestep` the value there. Raises UnsupportedScheduler for a
    scheduler whose noise levels or prediction type are not known.
    """
    config = scheduler.config
    clips = config.get("clip_sample", False) and not config.get("thresholding", False)
    clip = float(config.get("clip_sample_range", 1.0)) if clips else math.inf
    prediction = str(config.get("prediction_type", "epsilon"))
    alpha, sigma = _noise_level(scheduler, index, timestep)
    is_consistency = hasattr(scheduler, "get_scalings")
    is_preconditioned = is_consistency or hasattr(scheduler, "precondition_outputs")
    if is_preconditioned:
        skip, out = _preconditioned(config, sigma, prediction, is_consistency)
        clip = 1.0 if config.get("clip_denoised", False) else clip
    else:
        if isinstance(scheduler, IPNDMScheduler):  # it has no prediction_type
            prediction = "v_prediction"
        skip, out = _denoising(type(scheduler).__name__, prediction, alpha, sigma)
    predicts_eps = prediction == "epsilon" and not is_preconditioned
    return StepCoefficients(alpha=alpha, sigma=sigma, skip=skip, out=out, predicts_eps=predicts_eps, clip=clip)


def _noise_level(scheduler: Any, index: int, timestep: float) -> tuple[float, float]:
    """Return `alpha` and `sigma` of a step.

    Schedulers with `_sigma_to_alpha_sigma_t` (DPM-Solver's family, UniPC, DEIS) keep samples scaled by alpha; others
    with `sigmas` (Euler's family, Heun, LMS, EDM) do not; the rest read `alphas_cumprod` at the training timestep.
    """
    if hasattr(scheduler, "_sigma_to_alpha_sigma_t"):
        alpha, sigma = scheduler._sigma_to_alpha_sigma_t(scheduler.sigmas[index])
        return float(alpha), float(sigma)
    if hasattr(scheduler, "sigmas") and hasattr(scheduler, "step_index"):
        return 1.0, _variance_exploding_sigma(scheduler, index)
    if isinstance(scheduler, IPNDMScheduler):
        return float(scheduler.alphas[index]), float(scheduler.betas[index])
    if hasattr(scheduler, "alphas_cumprod") and timestep == int(timestep):
        alpha_bar = float(scheduler.alphas_cumprod[int(timestep)])
        return math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
    raise UnsupportedScheduler(
        f"pipe: the noise level of a {type(scheduler).__name__}'s steps is not known; a scheduler with alphas_cumprod "
        "or sigmas is supported"
    )


def _variance_exploding_sigma(scheduler: Any, index: int) -> float:
    """Return sigma of a step of a scheduler that does not scale samples by alpha.

    The second evaluation of a second-order step (KDPM2) is at an intermediate sigma.
    """
    if getattr(scheduler, "state_in_first_order", True):
        return float(scheduler.sigmas[index])
    midpoint = getattr(scheduler, "mid_point_sigma", None)
    if midpoint is not None:
        return float(midpoint)
    if hasattr(scheduler, "sigmas_interpol"):
        return float(scheduler.sigmas_interpol[index - 1 if hasattr(scheduler, "sigmas_up") else index])
    return float(scheduler.sigmas[index])


def _denoising(name: str, prediction: str, alpha: float, sigma: float) -> tuple[float, float]:
    """Return the factors of `x_t` and of the model output in `pred_x0`."""
    if prediction == "epsilon":
        if alpha == 0:
            raise UnsupportedScheduler(
                f"pipe: its {name} begins at pure noise (rescale_betas_zero_snr), where eps says nothing of the clean "
                "sample; prediction_type 'v_prediction' or 'sample' is supported there"
            )
        return 1 / alpha, -sigma / alpha
    if prediction == "v_prediction":  # of the sample scaled to unit variance
        norm = math.hypot(alpha, sigma)
        return alpha / norm**2, -sigma / norm
    if prediction in ("sample", "original_sample"):
        return 0.0, 1.0
    if prediction == "flow_prediction":
        return 1 / (alpha + sigma), -sigma / (alpha + sigma)
    raise UnsupportedScheduler(
        f"pipe: prediction_type of its {name} is {prediction!r}; epsilon, v_prediction, sample and flow_prediction are "
        "supported"
    )


def _preconditioned(config: Any, sigma: float, prediction: str, is_consistency: bool) -> tuple[float, float]:
    """Return the factors of `x_t` and of the model output in `pred_x0`, by EDM's table 1 (arXiv 2206.00364).

    Consistency models (arXiv 2303.01469, appendix C) meet their boundary condition at `sigma_min`.
    """
    data, least = float(config.sigma_data), float(config.sigma_min) if is_consistency else 0.0
    skip = data**2 / ((sigma - least) ** 2 + data**2)
    out = (sigma - least) * data / math.hypot(sigma, data)
    if prediction not in ("epsilon", "v_prediction"):
        raise UnsupportedScheduler(f"pipe: prediction_type is {prediction!r}; epsilon and v_prediction are supported")
    return skip, -out if prediction == "v_prediction" and not is_consistency else out
