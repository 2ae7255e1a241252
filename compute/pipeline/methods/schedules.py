"""Optimised schedules: steps placed where a model needs them, as plain policies for a pipeline."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from diffusers.schedulers import AysSchedules

from compute.pipeline.methods.plain import plain
from compute.pipeline.schedulers import SamplerError, base_configuration
from compute.pipeline.set_sampler import set_sampler
from compute.pipeline.step_costs import measure_step_costs
from compute.policy.placed_steps import StepCosts
from compute.policy.skip_policy import SkipPolicy
from store.sampler import SamplerSettings

_AYS_NOISE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}
_AYS_NAMES: dict[str, str] = {"sd": "StableDiffusion", "sdxl": "StableDiffusionXL"}


def step_costs(
    pipe: Any, run: Callable[..., Any], *, fine: int = 50, guidance: float | None = None, spacing: str = "trailing"
) -> StepCosts:
    """Return what each jump over the steps of a fine DDIM run costs, to place few steps by.

    `run(**arguments)` calls the pipeline once with these and its own arguments, for as many pictures as wanted:
    `lambda **arguments: pipe(prompts, **arguments)`. The pipeline's scheduler is put back.
    `plain(pipe, sampler="ddim", timesteps=costs.placed(8))` is then the policy of 8 steps.
    """
    settings = SamplerSettings.model_validate({"name": "ddim", "steps": fine, "spacing": spacing})
    policy = plain(pipe, sampler=settings, guidance=guidance)
    before = pipe.scheduler
    try:
        arguments = set_sampler(policy, pipe)
        return measure_step_costs(pipe, policy, lambda: run(**arguments))
    finally:
        pipe.scheduler = before


def ays(
    pipe: Any,
    *,
    steps: int = 10,
    sampler: SamplerSettings | str = "DPMSolverMultistepScheduler",
    model: Literal["sd", "sdxl"] | None = None,
    guidance: float | None = None,
) -> SkipPolicy:
    """Return Align Your Steps (Sabour et al., ICML 2024, arXiv 2404.14507) for a model of its noise schedule.

    The list is that of 10 steps for Stable Diffusion 1.5 or SDXL, as diffusers ships it; for another number the noise
    levels lie log-linearly between its. `model` is by default that of the pipeline's class. Raises SamplerError for a
    model that was trained with another noise schedule.
    """
    base = base_configuration(pipe.scheduler)
    for option, value in _AYS_NOISE.items():
        if base.get(option, pipe.scheduler.config.get(option)) != value:
            raise SamplerError(
                f"ays: its steps are for a noise schedule with {option}={value!r}, and this model's has "
                f"{base.get(option)!r}: give steps, or place them by step_costs"
            )
    which = model or ("sdxl" if "XL" in type(pipe).__name__ else "sd")
    if which not in _AYS_NAMES:
        raise SamplerError(f"ays: model {which!r} has no list; {' and '.join(_AYS_NAMES)} have one")
    listed = [float(t) for t in AysSchedules[f"{_AYS_NAMES[which]}Timesteps"]]
    timesteps = listed if steps == len(listed) else _between(AysSchedules[f"{_AYS_NAMES[which]}Sigmas"][:-1], steps)
    name = f"ays {which} {steps} steps"
    return plain(pipe, sampler=sampler, timesteps=timesteps, guidance=guidance, name=name)


def _between(sigmas: Sequence[float], steps: int) -> list[float]:
    """Return `steps` timesteps whose noise levels lie log-linearly between those of a list, from first to last."""
    if steps < 2:
        raise SamplerError(f"ays: {steps} steps; 2 or more are accepted")
    logs = [math.log(sigma) for sigma in sigmas]
    places = [number * (len(logs) - 1) / (steps - 1) for number in range(steps)]
    wanted = [logs[int(p)] + (p - int(p)) * (logs[min(int(p) + 1, len(logs) - 1)] - logs[int(p)]) for p in places]
    known = _log_sigmas()
    found = [min(bisect.bisect_left(known, log), len(known) - 1) for log in wanted]
    distinct = [float(t) for t in dict.fromkeys(found)]
    if len(distinct) != steps:
        raise SamplerError(f"ays: {steps} steps fall on {len(distinct)} timesteps; fewer steps are accepted")
    return distinct


def _log_sigmas() -> list[float]:
    """Return log(sigma / alpha) at each training timestep of the noise schedule that the lists are for."""
    low, high = math.sqrt(0.00085), math.sqrt(0.012)
    betas = ((low + (high - low) * t / 999) ** 2 for t in range(1000))
    alpha_bars = itertools.accumulate((1 - beta for beta in betas), lambda a, b: a * b)
    return [0.5 * math.log((1 - alpha_bar) / alpha_bar) for alpha_bar in alpha_bars]
