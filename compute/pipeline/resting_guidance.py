"""Lets guidance rest at steps of a run: the UNet runs on the conditional half of the batch alone.

The other half of its output is made so that the pipeline's own arithmetic gives what it should: the conditional half
less the difference of the halves that an earlier step computed, or the conditional half itself. So a guidance scale
that a callback changes, guidance_rescale and a learned sigma need no care here.

Which half is the conditional is seen, in each run, from what the pipeline makes of the halves. Where guidance rests
before any step has shown it, the UNet's call waits: the pipeline is first given two known halves, the scheduler's
argument shows its mix, and then the UNet runs on the half that is the conditional.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from compute.pipeline.batch_halves import Mix, mix_of
from compute.pipeline.patched_calls import UNetCall
from compute.pipeline.run_steps import FollowError
from compute.policy.graph import GUIDANCE
from compute.unet.execution import Execution

_ONE_BATCH = "guidance rests only where a pipeline guides in one batch, by one call of the UNet with two rows a picture"


@dataclass(frozen=True, kw_only=True)
class _OpenCall:
    """A call of the UNet whose step has not ended, with the halves that show how they are mixed.

    `has_run` says whether they are what the UNet put out. `waiting` is the call where the UNet has yet to run.
    """

    rows: int
    output: Tensor | None = None
    has_run: bool = False
    waiting: UNetCall | None = None


class RestingGuidance:
    """Carries out the actions of `guidance` in the runs of a pipeline, and checks how it guides until the last one."""

    def __init__(self, pipe: Any, execution: Execution) -> None:
        self._pipe, self._execution = pipe, execution
        steps = [plan.step for plan in execution.resolved.steps if plan.guidance or GUIDANCE in plan.writes]
        self._last = max(steps, default=-1)
        self._conditional: int | None = None
        self._open: _OpenCall | None = None

    def clear(self) -> None:
        """Prepare for a new run."""
        self._conditional, self._open = None, None

    def known_output(self, step: int, call: UNetCall) -> Any:
        """Return what is put out at a step whose guided output is known: a chance to see how halves are mixed."""
        if step > self._last or self._conditional is not None or not has_equal_halves(call):
            return call.skipped()
        known = known_halves(call)
        self._open = _OpenCall(rows=len(known), output=known)
        return call.known(known)

    def unet_output(self, step: int, call: UNetCall) -> Any:
        """Return what the UNet puts out in a call of a step. Raises FollowError where it isn't guided in one batch."""
        if step > self._last:
            return call.run()
        rests = self._execution.resolved.steps[step].guidance is not None
        self._check_call(step, call)
        rows = len(call.arguments.sample)
        if not rests:
            output = call.run()
            self._open = _OpenCall(rows=rows, output=output[0].detach().clone(), has_run=True)
            return output  # into which the pipeline may write
        if self._conditional is None:
            known = known_halves(call)
            self._open = _OpenCall(rows=rows, output=known, waiting=call)
            return call.known(known)
        self._open = _OpenCall(rows=rows)
        output = self._conditional_half(call, self._conditional)
        own = output[0]
        other = own if (difference := self._difference()) is None else own - difference
        whole = torch.cat([own, other] if self._conditional == 0 else [other, own])
        return (whole, *output[1:]) if isinstance(output, tuple) else type(output)(sample=whole)

    def scheduler_output(self, step: int, x_t: Tensor, output: Tensor) -> Tensor:
        """Return the guided output of a step, after checking what the pipeline has made of the UNet's output."""
        seen, self._open = self._open, None
        if seen is None:
            return output
        if seen.rows != 2 * len(x_t) or len(output) != len(x_t):
            raise FollowError(
                f"guidance: the UNet is called with {seen.rows} rows for {len(x_t)} pictures at step {step}: "
                f"{_ONE_BATCH}"
            )
        if seen.output is None:
            return output
        mix = self._mix(step, x_t, seen.output, output)
        if seen.waiting is not None:
            return self._guided(step, seen.waiting, mix, x_t, output)
        if seen.has_run and GUIDANCE in self._execution.resolved.steps[step].writes:
            first, second = seen.output.chunk(2)
            self._execution.write_guidance(second - first)
        return output

    def _mix(self, step: int, x_t: Tensor, halves: Tensor, output: Tensor) -> Mix:
        """Return what the pipeline made of both halves at a step. Raises FollowError where it contradicts a step."""
        channels = x_t.shape[1]
        first, second = halves[:, :channels].chunk(2)
        rescale = getattr(self._pipe, "guidance_rescale", None)
        is_rescaled = isinstance(rescale, int | float) and rescale > 0
        mix = mix_of(first, second, output[:, :channels], where=f"step {step}", is_rescaled=is_rescaled)
        if None not in (mix.conditional, self._conditional) and mix.conditional != self._conditional:
            raise FollowError(
                f"guidance: at step {step} the halves of the batch have changed places: the weights of their mix have "
                "other signs than before"
            )
        self._conditional = self._conditional if mix.conditional is None else mix.conditional
        return mix

    def _guided(self, step: int, waiting: UNetCall, mix: Mix, x_t: Tensor, output: Tensor) -> Tensor:
        """Run the UNet on the conditional half, which the mix of known halves shows, and return its guided output."""
        if self._conditional is None:
            weight = round(float(mix.scale[0]), 2) + 0.0  # no minus zero
            raise FollowError(
                f"guidance: rests at step {step} before a step has shown which half of the batch is the conditional, "
                f"and there the second half has the weight {weight:g}: guide by a scale above 1 at this step"
            )
        channels = output.shape[1]
        guided: Tensor = self._conditional_half(waiting, self._conditional)[0][:, :channels].to(output.dtype)
        difference = self._difference()
        if difference is not None:
            scale = mix.scale if self._conditional == 1 else 1 - mix.scale
            own = x_t.shape[1]
            added = (scale - 1).to(output).view(-1, *[1] * (output.ndim - 1)) * difference[:, :own].to(output.dtype)
            guided = torch.cat([guided[:, :own] + added, guided[:, own:]], dim=1)
        return guided

    def _conditional_half(self, call: UNetCall, which: int) -> Any:
        whole, half = call.arguments, call.arguments.half(which)
        with self._execution.running_half(which, whole.args, whole.kwargs):
            return call.forward(*half.args, **half.kwargs)

    def _difference(self) -> Tensor | None:
        """Return the conditional output less the unconditional one; None at a step without guidance."""
        action = self._execution.plan.guidance
        if action is None or not action.reads_cache:
            return None
        second_less_first = self._execution.read_guidance()
        return second_less_first if self._conditional == 1 else -second_less_first

    def _check_call(self, step: int, call: UNetCall) -> None:
        """Raise FollowError for a second call of the UNet in a step, and for a batch whose halves differ."""
        if self._open is not None:
            raise FollowError(f"guidance: the UNet is called twice at step {step}: {_ONE_BATCH}")
        if not has_equal_halves(call):
            rows = len(call.arguments.sample)
            seen = f"{rows} rows" if rows % 2 else f"{rows} rows whose halves have different samples"
            raise FollowError(
                f"guidance: at step {step} the UNet is called with {seen}: {_ONE_BATCH}; with guidance_scale 1, and "
                "with guidance by three parts, it can't rest"
            )


def has_equal_halves(call: UNetCall) -> bool:
    """Return whether the samples of a call's first half are those of its second, as guidance in one batch has them."""
    sample = call.arguments.sample
    first, *rest = sample.chunk(2)
    return len(sample) % 2 == 0 and torch.equal(first, rest[0])


def known_halves(call: UNetCall) -> Tensor:
    """Return an output in the place of a UNet's, random and of unit variance, from which a mix can be told."""
    values = torch.randn(call.output_shape, generator=torch.Generator().manual_seed(0))
    return values.to(call.arguments.sample)
