"""Checks that a run is the one that a policy is for."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from compute.pipeline.run_steps import RunSteps, is_same_timestep
from compute.pipeline.schedulers import SamplerError, make_scheduler
from compute.policy.skip_policy import PolicyError, SkipPolicy

_CLASS_NAMES = {"ddpm": "DDPMScheduler", "ddim": "DDIMScheduler"}  # or a class derived from it


class PolicyCheck:
    """Compares the scheduler, the timesteps and the guidance of a pipeline's runs with a policy's."""

    def __init__(self, policy: SkipPolicy, pipe: Any) -> None:
        self._policy, self._pipe = policy, pipe
        self._warned = False

    def begin(self, steps: RunSteps, scheduler: Any) -> None:
        """Check a run that begins. Raises PolicyError for another scheduler and for other steps."""
        sampler = self._policy.sampler
        expected_name = _CLASS_NAMES.get(sampler.name, sampler.name)
        if expected_name not in [base.__name__ for base in type(scheduler).__mro__]:
            raise PolicyError(
                f"sampler: the policy is for {sampler.name}, pipe.scheduler is a {type(scheduler).__name__}: "
                f"give the pipeline a {expected_name}, or make a policy for this one"
            )
        for option, value in sampler.options.items():
            if scheduler.config.get(option) != (list(value) if isinstance(value, tuple) else value):
                raise PolicyError(
                    f"sampler: the policy is for a {expected_name} with {option}={value!r}, pipe.scheduler has "
                    f"{scheduler.config.get(option)!r}: make it with {expected_name}.from_config(pipe.scheduler.config,"
                    f" {option}={value!r})"
                )
        if len(steps) != sampler.steps:
            advice = (
                "it begins in the middle of its scheduler's steps, so give the arguments of its call to "
                "SkipPolicy.for_pipeline(call=...)"
                if steps.offset
                else f"run with num_inference_steps={sampler.asked_steps}, or make one for {len(steps)} steps: "
                f"policy.resampled({len(steps)})"
            )
            raise PolicyError(f"steps: the policy is for {sampler.steps} steps, this run has {len(steps)}: {advice}")
        self._check_timesteps(steps.timesteps, self._expected_timesteps(scheduler))

    def _expected_timesteps(self, scheduler: Any) -> Sequence[float]:
        policy = self._policy
        if policy.timesteps is not None:
            return policy.timesteps
        try:
            own = make_scheduler(scheduler.config, policy.sampler)
        except SamplerError as error:
            raise PolicyError(str(error)) from None
        if policy.sampler.name not in _CLASS_NAMES:
            own.set_timesteps(policy.sampler.asked_steps)
        return [float(t) for t in own.timesteps.tolist()][-policy.sampler.steps :]

    def _check_timesteps(self, timesteps: Sequence[float], expected: Sequence[float]) -> None:
        sampler = self._policy.sampler
        for step, (t, own) in enumerate(zip(timesteps, expected, strict=True)):
            if not is_same_timestep(t, own):
                what = f"{sampler.spacing} spacing" if sampler.spacing else f"{sampler.name} with its own timesteps"
                advice = (
                    f"set the scheduler's timestep_spacing to {sampler.spacing!r}"
                    if sampler.spacing
                    else "run the pipeline as when the policy was made"
                )
                raise PolicyError(
                    f"sampler: the policy is for {what}, where step {step} is at timestep {own:g}; in this run it is "
                    f"at {t:g}: {advice}"
                )

    def arguments(self, scheduler: Any, arguments: Mapping[str, Any]) -> None:
        """Check the arguments of a scheduler's step. Raises PolicyError for another eta; warns of another guidance."""
        sampler = self._policy.sampler
        if sampler.name == "ddim":
            given = arguments.get("eta")
            eta = float(getattr(scheduler, "eta", 0.0) if given is None else given)
            if not math.isclose(eta, sampler.eta, abs_tol=1e-6):
                raise PolicyError(f"sampler: the policy is for ddim with eta {sampler.eta:g}, this run has {eta:g}")
        guidance = getattr(self._pipe, "guidance_scale", None)
        if self._warned or not isinstance(guidance, int | float):
            return
        if not math.isclose(guidance, self._policy.guidance, abs_tol=1e-6):
            self._warned = True
            warnings.warn(
                f"guidance: the policy was made for {self._policy.guidance:g}, this run has {guidance:g}: "
                "its measured quality does not hold here",
                stacklevel=2,
            )
