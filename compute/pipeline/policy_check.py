"""Checks that a run is the one that a policy is for."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from compute.pipeline.call import STEP_LISTS, plain_numbers
from compute.pipeline.run_scheduler import run_scheduler
from compute.pipeline.run_steps import RunSteps, is_same_timestep
from compute.pipeline.schedulers import SamplerError, make_scheduler
from compute.policy.run_scheduler import RunScheduler
from compute.policy.skip_policy import PolicyError, SkipPolicy

_CLASS_NAMES = {"ddpm": "DDPMScheduler", "ddim": "DDIMScheduler"}  # or a class derived from it


class PolicyCheck:
    """Compares a pipeline's runs with a policy's: the scheduler, its timesteps, what it does at each step, guidance."""

    def __init__(self, policy: SkipPolicy, pipe: Any) -> None:
        self._policy, self._pipe = policy, pipe
        self._warned = self._warned_of_scheduler = False

    def begin(self, steps: RunSteps, scheduler: Any) -> None:
        """Check a run that begins. Raises PolicyError for another scheduler and for other steps."""
        sampler = self._policy.sampler
        expected_name = _CLASS_NAMES.get(sampler.name, sampler.name)
        if expected_name not in [base.__name__ for base in type(scheduler).__mro__]:
            raise PolicyError(
                f"sampler: the policy is for {sampler.name}, pipe.scheduler is a {type(scheduler).__name__}: "
                f"give the pipeline a {expected_name} with skipscope.set_sampler(policy, pipe), or make a policy for "
                "this one"
            )
        for option, value in sampler.options.items():
            if scheduler.config.get(option) != (list(value) if isinstance(value, tuple) else value):
                raise PolicyError(
                    f"sampler: the policy is for a {expected_name} with {option}={value!r}, pipe.scheduler has "
                    f"{scheduler.config.get(option)!r}: skipscope.set_sampler(policy, pipe) gives it the policy's"
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
        self._check_scheduler(steps, scheduler)

    def _check_scheduler(self, steps: RunSteps, scheduler: Any) -> None:
        """Compare what the scheduler does. Raises PolicyError; warns where the policy does not say what it is for."""
        own, sampler = run_scheduler(scheduler, steps), self._policy.sampler
        if self._policy.scheduler is not None:
            if difference := self._policy.scheduler.difference(own):
                raise PolicyError(
                    f"sampler: the policy is for a {sampler.name} with {difference}: give the pipeline a scheduler "
                    "with the options that the policy was made with, or make a policy for this one"
                )
        elif sampler.name in _CLASS_NAMES and own.prediction_type != "epsilon":
            raise PolicyError(
                f"sampler: prediction_type is {own.prediction_type!r}; a policy of {sampler.name} that doesn't say its "
                "own is for models that predict eps: make one for this model"
            )
        elif not self._warned_of_scheduler and (difference := self._usual_difference(steps, own)):
            self._warned_of_scheduler = True
            warnings.warn(
                f"sampler: the policy does not say which noise schedule it is for; {sampler.name} by itself has "
                f"{difference}: its measured quality may not hold here",
                stacklevel=2,
            )

    def _usual_difference(self, steps: RunSteps, own: RunScheduler) -> str | None:
        """Return what the run's scheduler has otherwise than the policy's sampler without a model's configuration."""
        sampler = self._policy.sampler
        try:
            usual = make_scheduler({}, sampler)
        except SamplerError:
            return None
        known = steps if sampler.name in _CLASS_NAMES else RunSteps(timesteps=())  # which need no set_timesteps
        return run_scheduler(usual, RunSteps(timesteps=known.timesteps)).with_options().difference(own)

    def _expected_timesteps(self, scheduler: Any) -> Sequence[float]:
        policy = self._policy
        if policy.timesteps is not None:
            return policy.timesteps
        try:
            own = make_scheduler(scheduler.config, policy.sampler)
        except SamplerError as error:
            raise PolicyError(str(error)) from None
        if policy.sampler.name not in _CLASS_NAMES:
            lists = {key: numbers for key in STEP_LISTS if (numbers := getattr(policy.sampler, key)) is not None}
            if lists:
                own.set_timesteps(**{key: plain_numbers(key, lists[key]) for key in STEP_LISTS if key in lists})
            else:
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
        elif self._policy.scheduler is not None and isinstance(arguments.get("eta"), int | float):
            eta, made = float(arguments["eta"]), float(self._policy.call.get("eta", 0) or 0)  # type: ignore[arg-type]
            if not math.isclose(eta, made, abs_tol=1e-6):
                raise PolicyError(f"call.eta: the policy is for {made:g}, this run has {eta:g}")
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
