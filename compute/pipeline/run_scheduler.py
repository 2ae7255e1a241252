"""Reads from a scheduler what it makes of a model's outputs in a run."""

from __future__ import annotations

import inspect
import math
from typing import Any

from compute.pipeline.run_steps import RunSteps
from compute.pipeline.step_coefficients import StepCoefficients, UnsupportedScheduler, step_coefficients
from compute.policy.run_scheduler import RunScheduler

_DIGITS = 7
_SHOWN = frozenset(
    (
        *("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "rescale_betas_zero_snr"),
        *("prediction_type", "clip_sample", "clip_sample_range", "timestep_spacing", "steps_offset", "timestep_type"),
        *("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas", "use_flow_sigmas"),
        *("sigma_min", "sigma_max", "sigma_schedule", "rho", "interpolation_type", "shift", "flow_shift"),
        *("base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len", "use_dynamic_shifting"),
        *("shift_terminal", "time_shift_type", "invert_sigmas", "original_inference_steps"),
    )
)
"""Options that the timesteps, the noise levels, the prediction type or the clipping of a run show."""
_OF_THRESHOLDING = frozenset(("dynamic_thresholding_ratio", "sample_max_value"))


def run_scheduler(scheduler: Any, steps: RunSteps) -> RunScheduler:
    """Return what a scheduler, whose timesteps are set and which has not stepped yet, does in a run."""
    at = _coefficients(scheduler, steps)
    return RunScheduler(
        prediction_type=str(scheduler.config.get("prediction_type", "epsilon"))[:200],
        clip=next((c.clip for c in at if math.isfinite(c.clip)), None),
        trained=_trained(scheduler),
        alphas=tuple(_rounded(c.alpha) for c in at),
        sigmas=tuple(_rounded(c.sigma) for c in at),
        options=_options(scheduler),
    )


def _coefficients(scheduler: Any, steps: RunSteps) -> list[StepCoefficients]:
    """Return the coefficients of each step; none of a scheduler whose noise levels are not known."""
    try:
        at = [step_coefficients(scheduler, steps.offset + i, t) for i, t in enumerate(steps.timesteps)]
    except (UnsupportedScheduler, IndexError):
        return []
    return at if all(math.isfinite(c.alpha) and math.isfinite(c.sigma) for c in at) else []


def _trained(scheduler: Any) -> tuple[float, ...]:
    values = getattr(scheduler, "alphas_cumprod", None)
    if values is None or len(values) < 2:
        return ()
    return tuple(_rounded(float(values[round(i * (len(values) - 1) / 8)])) for i in range(9))


def _options(scheduler: Any) -> dict[str, Any]:
    config = scheduler.config
    accepted = inspect.signature(type(scheduler)).parameters.keys() - _SHOWN
    if not config.get("thresholding", False):
        accepted -= _OF_THRESHOLDING
    return {name: _plain(config[name]) for name in sorted(accepted) if name in config}


def _plain(value: Any) -> bool | int | float | str:
    """Return an option as a policy file can hold it: None, lists and infinities as text."""
    is_plain = isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))
    return value if is_plain else str(value)[:200]


def _rounded(number: float) -> float:
    return float(f"{number:.{_DIGITS}g}")
