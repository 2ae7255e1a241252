"""A run of somebody else's pipeline under a policy, as its scheduler and its UNet tell it."""

from __future__ import annotations

import math
import warnings
from typing import Any

from diffusers import DDIMScheduler, DDPMScheduler
from torch import Tensor

from compute.pipeline.output_reuse import OutputMemory
from compute.pipeline.schedulers import SamplerError, make_scheduler
from compute.policy.skip_policy import PolicyError, SkipPolicy
from compute.unet.execution import Execution

_CLASSES: dict[str, Any] = {"ddpm": DDPMScheduler, "ddim": DDIMScheduler}


class PipelineRun:
    """Where a pipeline is in its run, and what it is given at steps that reuse the whole UNet.

    The scheduler's mathematics of such a step are done in float32, as in the project's own loop.
    """

    def __init__(self, policy: SkipPolicy, pipe: Any, execution: Execution) -> None:
        self.active = True
        self._policy, self._pipe, self._acts = policy, pipe, execution
        self._drops = any(plan.unet is not None for plan in execution.resolved.steps)
        self._step: int | None = None
        self._timesteps: list[int] = []
        self._memory = OutputMemory(math.inf)
        self._warned = False

    def begin(self, scheduler: Any) -> None:
        """A run begins: forget the last one. Raises PolicyError where the policy is not for such a run."""
        self._step = None
        self._acts.reset()
        self._timesteps = _checked_timesteps(self._policy, scheduler)
        clips = scheduler.config.get("clip_sample", False) and not scheduler.config.get("thresholding", False)
        self._memory = OutputMemory(scheduler.config.clip_sample_range if clips else math.inf)
        self._go_to(0)

    def _go_to(self, step: int) -> None:
        """The next step begins; after the last one the run is over and nothing is kept."""
        if step < len(self._timesteps):
            self._acts.begin_step(step)
            self._step = step
        else:
            self._acts.reset()
            self._step, self._memory = None, OutputMemory(math.inf)

    @property
    def drops_unet(self) -> bool:
        """Whether the UNet rests at this step. Raises PolicyError outside a run."""
        return self._acts.unet_action(self._here("the UNet was called")) is not None

    def _here(self, what: str) -> int:
        if self._step is None:
            raise PolicyError(
                f"pipe: {what} outside a run; the policy follows pipe.scheduler from set_timesteps to the last step, "
                "so a pipeline must sample with that scheduler or a deep copy of it"
            )
        return self._step

    def output(self, scheduler: Any, model_output: Tensor, timestep: int, x_t: Tensor, eta: float) -> Tensor:
        """What the scheduler is to be given at this step: the pipeline's guided output, or the reused one."""
        step = self._here("the scheduler stepped")
        self._check_step(step, timestep, eta)
        if not self._drops:
            return model_output
        alpha_bar, action = float(scheduler.alphas_cumprod[timestep]), self._acts.unet_action(step)
        if action is None:
            self._memory.write(step, x_t.float(), model_output.float(), alpha_bar)
            return model_output
        return self._memory.reuse(action, step, x_t.float(), alpha_bar).to(model_output.dtype)

    def _check_step(self, step: int, timestep: int, eta: float) -> None:
        if timestep != self._timesteps[step]:
            raise PolicyError(
                f"pipe: its step {step} is at timestep {timestep}, the policy's at {self._timesteps[step]}: a policy "
                "is for whole runs from pure noise, one scheduler step after the other"
            )
        sampler = self._policy.sampler
        if sampler.name == "ddim" and not math.isclose(eta, sampler.eta, abs_tol=1e-6):
            raise PolicyError(f"sampler: the policy is for ddim with eta {sampler.eta:g}, this run has {eta:g}")
        self._check_guidance()

    def _check_guidance(self) -> None:
        given = getattr(self._pipe, "guidance_scale", None)
        other = isinstance(given, int | float) and not math.isclose(given, self._policy.guidance, abs_tol=1e-6)
        if other and not self._warned:
            self._warned = True
            warnings.warn(
                f"guidance: the policy was made for {self._policy.guidance:g}, this run has {given:g}: "
                "its measured quality does not hold here",
                stacklevel=2,
            )

    def end_step(self) -> None:
        """The scheduler has made its step."""
        self._go_to(self._here("the scheduler stepped") + 1)


def _checked_timesteps(policy: SkipPolicy, scheduler: Any) -> list[int]:
    """The timesteps that a scheduler was just set to, where they are the policy's. Raises PolicyError."""
    sampler = policy.sampler
    if not isinstance(scheduler, _CLASSES[sampler.name]):
        raise PolicyError(
            f"sampler: the policy is for {sampler.name}, pipe.scheduler is a {type(scheduler).__name__}: "
            f"give the pipeline a {_CLASSES[sampler.name].__name__}, or make a policy for this one"
        )
    timesteps = [int(t) for t in scheduler.timesteps]
    if len(timesteps) != sampler.steps:
        raise PolicyError(
            f"steps: the policy is for {sampler.steps} steps, this run has {len(timesteps)}: "
            f"run with num_inference_steps={sampler.steps}, or make one for {len(timesteps)} steps: "
            f"policy.resampled({len(timesteps)})"
        )
    expected = _expected_timesteps(policy, scheduler)
    if timesteps != expected:
        step = next(step for step, (a, b) in enumerate(zip(timesteps, expected, strict=True)) if a != b)
        raise PolicyError(
            f"sampler: the policy is for {sampler.spacing} spacing, where step {step} is at timestep "
            f"{expected[step]}; in this run it is at {timesteps[step]}: "
            f"set the scheduler's timestep_spacing to {sampler.spacing!r}"
        )
    return timesteps


def _expected_timesteps(policy: SkipPolicy, scheduler: Any) -> list[int]:
    try:
        return [int(t) for t in make_scheduler(scheduler.config, policy.sampler).timesteps]
    except SamplerError as error:
        raise PolicyError(str(error)) from None
