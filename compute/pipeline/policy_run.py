"""A run of a diffusers pipeline that follows a policy."""

from __future__ import annotations

import math
import warnings
from typing import Any

from diffusers import DDIMScheduler, DDPMScheduler
from jaxtyping import Float
from torch import Tensor

from compute.pipeline.output_reuse import OutputHistory
from compute.pipeline.schedulers import SamplerError, make_scheduler
from compute.policy.skip_policy import PolicyError, SkipPolicy
from compute.unet.execution import Execution

_SCHEDULER_CLASSES: dict[str, Any] = {"ddpm": DDPMScheduler, "ddim": DDIMScheduler}


class PolicyRun:
    """The current step of a pipeline's run, and the scheduler's input at steps that reuse the whole UNet.

    The pipeline's patched methods call `begin`, `scheduler_input` and `end_step`. The reused output is computed in
    float32, as in `compute.pipeline.sampling.sample`, and converted to the pipeline's dtype.
    """

    def __init__(self, policy: SkipPolicy, pipe: Any, execution: Execution) -> None:
        self.active = True
        self._policy, self._pipe, self._execution = policy, pipe, execution
        self._any_step_drops_unet = any(plan.unet is not None for plan in execution.resolved.steps)
        self._step: int | None = None
        self._timesteps: list[int] = []
        self._history = OutputHistory(math.inf)
        self._warned = False

    def begin(self, scheduler: Any) -> None:
        """Begin a new run with the timesteps that `scheduler` was set to.

        Raises PolicyError where the policy is for another scheduler or for other timesteps.
        """
        self._step = None
        self._execution.reset()
        self._timesteps = _checked_timesteps(self._policy, scheduler)
        clips = scheduler.config.get("clip_sample", False) and not scheduler.config.get("thresholding", False)
        self._history = OutputHistory(scheduler.config.clip_sample_range if clips else math.inf)
        self._begin_step(0)

    def _begin_step(self, step: int) -> None:
        """Begin a step, or end the run where `step` is behind the last one."""
        if step < len(self._timesteps):
            self._execution.begin_step(step)
            self._step = step
        else:
            self._execution.reset()
            self._step, self._history = None, OutputHistory(math.inf)

    @property
    def drops_unet(self) -> bool:
        """Whether the current step reuses the whole UNet. Raises PolicyError outside a run."""
        return self._execution.unet_action(self._current_step("the UNet was called")) is not None

    def _current_step(self, event: str) -> int:
        """Return the current step. Raises PolicyError, which names the event, outside a run."""
        if self._step is None:
            raise PolicyError(
                f"pipe: {event} outside a run; the policy follows pipe.scheduler from set_timesteps to the last step, "
                "so a pipeline must sample with that scheduler or a deep copy of it"
            )
        return self._step

    def scheduler_input(
        self,
        scheduler: Any,
        model_output: Float[Tensor, "B K H W"],
        timestep: int,
        x_t: Float[Tensor, "B C H W"],
        eta: float,
    ) -> Float[Tensor, "B K H W"]:
        """Return the model output for the scheduler's step: the pipeline's own, guided one, or the reused one.

        Raises PolicyError outside a run, and where timestep or eta are not the policy's. Warns once where the guidance
        is another.
        """
        step = self._current_step("the scheduler stepped")
        self._check_step(step, timestep, eta)
        if not self._any_step_drops_unet:
            return model_output
        alpha_bar, action = float(scheduler.alphas_cumprod[timestep]), self._execution.unet_action(step)
        if action is None:
            self._history.write(step, x_t.float(), model_output.float(), alpha_bar)
            return model_output
        return self._history.reuse(action, step, x_t.float(), alpha_bar).to(model_output.dtype)

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

    def end_step(self) -> None:
        """End the current step, after the scheduler's step. Raises PolicyError outside a run."""
        self._begin_step(self._current_step("the scheduler stepped") + 1)


def _checked_timesteps(policy: SkipPolicy, scheduler: Any) -> list[int]:
    """Return the timesteps of a scheduler. Raises PolicyError where class or timesteps are not the policy's."""
    sampler = policy.sampler
    if not isinstance(scheduler, _SCHEDULER_CLASSES[sampler.name]):
        raise PolicyError(
            f"sampler: the policy is for {sampler.name}, pipe.scheduler is a {type(scheduler).__name__}: "
            f"give the pipeline a {_SCHEDULER_CLASSES[sampler.name].__name__}, or make a policy for this one"
        )
    timesteps = [int(t) for t in scheduler.timesteps]
    if len(timesteps) != sampler.steps:
        raise PolicyError(
            f"steps: the policy is for {sampler.steps} steps, this run has {len(timesteps)}: "
            f"run with num_inference_steps={sampler.steps}, or make one for {len(timesteps)} steps: "
            f"policy.resampled({len(timesteps)})"
        )
    try:
        expected = [int(t) for t in make_scheduler(scheduler.config, sampler).timesteps]
    except SamplerError as error:
        raise PolicyError(str(error)) from None
    if timesteps != expected:
        step = next(step for step, (a, b) in enumerate(zip(timesteps, expected, strict=True)) if a != b)
        raise PolicyError(
            f"sampler: the policy is for {sampler.spacing} spacing, where step {step} is at timestep "
            f"{expected[step]}; in this run it is at {timesteps[step]}: "
            f"set the scheduler's timestep_spacing to {sampler.spacing!r}"
        )
    return timesteps
