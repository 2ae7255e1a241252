"""Follows a diffusers pipeline through a run: which step it is at, what its UNet puts out, what its scheduler is given.

The pipeline's own loop stays in use. Its scheduler tells where it is: `set_timesteps` begins a run, `step` ends a step,
and calls of the UNet between them belong to that step. At a step whose output is known, because it is replayed from an
earlier run or because a policy reuses an earlier step's, the UNet does not run and puts out NaN, and the scheduler is
given the known output instead: it rebuilds `x_t`, its history and its noise by itself. So nothing has to be known of a
scheduler to continue a run in the middle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from compute.pipeline.followed_step import OpenStep, Replay, Step
from compute.pipeline.noise import step_generators
from compute.pipeline.output_reuse import OutputHistory
from compute.pipeline.patched_calls import Follower, UNetArguments, UNetCall, check_not_followed, patched_methods
from compute.pipeline.resting_guidance import RestingGuidance
from compute.pipeline.run_steps import (
    FollowError,
    RunSteps,
    is_element,
    is_same_timestep,
    run_steps,
    timestep_number,
)
from compute.pipeline.run_thread import RunThread
from compute.pipeline.step_coefficients import StepCoefficients, step_coefficients
from compute.unet.execution import Execution
from compute.unet.method_patch import MethodPatch


class RunFollower:
    """The state of the run that a pipeline makes at the moment.

    The patched methods call `claim_run`, `begin_run`, `unet_output`, `scheduler_arguments`, `end_step`, in this order.
    """

    def __init__(
        self,
        pipe: Any,
        *,
        execution: Execution | None = None,
        replay: Replay | None = None,
        seeds: Sequence[int] | None = None,
        on_begin: Callable[[RunSteps, Any], None] | None = None,
        on_arguments: Callable[[Any, dict[str, Any]], None] | None = None,
        on_step: Callable[[Step], None] | None = None,
    ) -> None:
        self.active = True
        self._pipe, self._execution, self._replay = pipe, execution, replay
        self._seeds = None if seeds is None else tuple(seeds)
        self._on_begin, self._on_arguments, self._on_step = on_begin, on_arguments, on_step
        reuses = () if execution is None else [plan.unet for plan in execution.resolved.steps if plan.unet]
        self._depth = max((action.values_read for action in reuses), default=0)
        self._keeps_outputs = self._depth > 0
        acts_on_guidance = execution is not None and any(plan.guidance for plan in execution.resolved.steps)
        self._guidance = RestingGuidance(pipe, execution) if execution is not None and acts_on_guidance else None
        self._thread = RunThread(pipe)
        self._scheduler: Any = None
        self._steps: RunSteps | None = None
        self._index = self._unet_calls = 0
        self._history = OutputHistory(self._depth)
        self._step: OpenStep | None = None

    def claim_run(self) -> None:
        """Begin a run in this thread. Raises FollowError while another thread is within one."""
        self._thread.claim()

    def begin_run(self, scheduler: Any) -> None:
        """Prepare for a run: the scheduler's timesteps have been set, and nothing of an earlier run is left."""
        self._end_run()
        self._scheduler = scheduler

    def _end_run(self) -> None:
        self._scheduler, self._steps, self._step = None, None, None
        self._index = self._unet_calls = 0
        self._history = OutputHistory(self._depth)
        if self._execution is not None:
            self._execution.reset()
        if self._guidance is not None:
            self._guidance.clear()

    def _start(self, timestep: Tensor | float) -> RunSteps:
        """Return the steps of the current run; the first call of a run finds them."""
        if self._steps is not None:
            return self._steps
        if self._scheduler is None:
            raise FollowError(
                "pipe: its UNet or scheduler was called outside a run; a run is followed through pipe.scheduler, from "
                "set_timesteps to the last step, so a pipeline must sample with that scheduler or a deep copy of it"
            )
        steps = run_steps(self._pipe, self._scheduler, timestep_number(timestep))
        if self._on_begin is not None:
            self._on_begin(steps, self._scheduler)
        if self._replay is not None and self._replay.start > len(steps):
            raise FollowError(f"pipe: it makes {len(steps)} steps; the replayed run has {self._replay.start} or more")
        self._steps = steps
        self._begin_step()
        return steps

    def _begin_step(self) -> None:
        if self._execution is not None and not self._is_replayed:
            self._execution.begin_step(self._index)

    @property
    def _is_replayed(self) -> bool:
        return self._replay is not None and self._index < self._replay.start

    @property
    def _is_known(self) -> bool:
        """Whether the output of the current step is known without the UNet."""
        if self._is_replayed:
            return True
        return self._execution is not None and self._execution.unet_action(self._index) is not None

    def unet_output(self, call: UNetCall) -> Any:
        """Return what the UNet puts out in a call: NaN, without running it, where the step's output is known.

        Raises FollowError outside a run, in another thread than the run's, and at another timestep than the current
        step's.
        """
        self._begin_unet_call(call.arguments)
        if self._guidance is None:
            return call.skipped() if self._is_known else call.run()
        carried_out = self._guidance.known_output if self._is_known else self._guidance.unet_output
        return carried_out(self._index, call)

    def _begin_unet_call(self, arguments: UNetArguments) -> None:
        self._thread.check()
        timestep = arguments.timestep
        steps = self._start(timestep)
        self._unet_calls += 1
        if (other := self._other_timestep(timestep, steps)) is not None:
            raise FollowError(
                f"pipe: its UNet was called at timestep {other:g} during step {self._index}, which is at "
                f"{steps.timesteps[self._index]:g}: each step must end by the scheduler's step, and another pipeline "
                "with the same UNet cannot sample meanwhile"
            )

    def _other_timestep(self, timestep: Tensor | float, steps: RunSteps) -> float | None:
        """Return a timestep that is not the current step's, of those that the UNet is given for the rows."""
        if is_element(timestep, self._scheduler.timesteps, steps.offset + self._index):
            return None  # known without reading it, which on a GPU would wait for all that runs there
        expected = steps.timesteps[self._index]
        numbers = timestep.flatten().tolist() if isinstance(timestep, Tensor) else [timestep]
        return next((float(number) for number in numbers if not is_same_timestep(number, expected)), None)

    def scheduler_arguments(self, scheduler: Any, arguments: dict[str, Any]) -> None:
        """Put the known output and the noise of this step into the arguments of the scheduler's `step`.

        Raises FollowError where no call of the UNet came before, for a batch of another size than there are seeds, and
        where the replayed run had another.
        """
        self._thread.check()
        if self._scheduler is not None and self._unet_calls == 0:
            raise FollowError(
                f"pipe: its scheduler steps without a call of the UNet that was seen, at step {self._index}: other "
                "code has replaced the UNet's forward since the context was entered (model offloading does so after "
                "each call of the pipeline): enter the context anew for each call"
            )
        steps = self._start(arguments["timestep"])
        if self._guidance is not None:
            own = self._guidance.scheduler_output(self._index, arguments["sample"], arguments["model_output"])
            arguments["model_output"] = own
        if self._execution is not None and not self._is_known:
            self._execution.end_step()  # before the scheduler takes what the UNet put out
        if self._on_arguments is not None:
            self._on_arguments(scheduler, arguments)
        x_t, index = arguments["sample"], self._index
        if self._seeds is not None and "generator" in arguments:
            if len(self._seeds) != len(x_t):
                raise FollowError(f"pipe: it samples {len(x_t)} pictures at once; {len(self._seeds)} seeds were given")
            arguments["generator"] = step_generators(self._seeds, index)
        at = None
        if self._keeps_outputs or self._on_step is not None:
            at = step_coefficients(scheduler, steps.offset + index, steps.timesteps[index])
        self._step = OpenStep(x_t=x_t, coefficients=at)
        arguments["model_output"] = self._output(arguments["model_output"], x_t, at)
        self._step.output = arguments["model_output"]

    def _output(self, output: Tensor, x_t: Tensor, at: StepCoefficients | None) -> Tensor:
        """Return what the scheduler is given at the current step."""
        if self._is_replayed:
            assert self._replay is not None
            output = self._replay.outputs[self._index].to(output)
            if output.shape[0] != x_t.shape[0] or output.shape[2:] != x_t.shape[2:]:
                raise FollowError(
                    f"pipe: the replayed run has outputs of shape {tuple(output.shape)}, this one samples "
                    f"{tuple(x_t.shape)}"
                )
        if not self._keeps_outputs or self._execution is None or at is None:
            return output
        action = None if self._is_replayed else self._execution.unet_action(self._index)
        if action is not None:
            return self._history.reuse(action, self._index, x_t, at).to(output.dtype)
        self._history.write(self._index, x_t, output, at)
        return output

    def end_step(self, scheduler: Any, x_next: Tensor) -> None:
        """End the current step, after the scheduler's."""
        assert self._steps is not None and self._step is not None, "the scheduler has stepped"
        if self._on_step is not None:
            self._on_step(self._step.ended(self._index, self._steps.timesteps[self._index], scheduler, x_next))
        self._index, self._unet_calls = self._index + 1, 0
        if self._index == len(self._steps):
            self._end_run()
            self._thread.release()
        else:
            self._begin_step()


@contextmanager
def following(pipe: Any, unet: nn.Module, follower: Follower) -> Iterator[None]:
    """Make `follower` follow every call of a pipeline within the context; afterwards all is exactly as before.

    Raises FollowError where the pipeline's scheduler or its UNet is followed already.
    """
    check_not_followed(pipe.scheduler, unet)
    patches: list[MethodPatch] = []
    try:
        for owner, name, method in patched_methods(follower, pipe, unet):
            patches.append(MethodPatch(owner, name, method))
        yield
    finally:
        follower.active = False
        for patch in reversed(patches):
            patch.remove()


def check_can_be_followed(pipe: Any) -> None:
    """Raise FollowError for a pipeline whose scheduler does not make one step after each prediction."""
    scheduler = getattr(pipe, "scheduler", None)
    missing = [name for name in ("set_timesteps", "step", "timesteps") if not hasattr(scheduler, name)]
    if missing:
        raise FollowError(
            f"pipe: the scheduler of a {type(pipe).__name__} is a {type(scheduler).__name__} without "
            f"{', '.join(missing)}; a run is followed through them"
        )
