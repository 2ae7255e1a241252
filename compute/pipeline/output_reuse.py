"""The output of the whole UNet at a dropped step: repeated or extrapolated from the steps that computed it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from compute.pipeline.step_coefficients import StepCoefficients
from compute.policy.extrapolation import extrapolated
from store.errors import SkipscopeError
from store.records import Action


class ReuseError(SkipscopeError):
    """A step reuses the UNet's output before enough steps of the run have computed it."""


@dataclass(frozen=True, kw_only=True)
class _ComputedOutput:
    """The guided output of a computed step; `sigma` has no channels where the model does not learn it."""

    step: int
    eps: Float[Tensor, "B C H W"]
    pred_x0: Float[Tensor, "B C H W"]
    sigma: Float[Tensor, "B S H W"]


class OutputHistory:
    """The outputs of the last three steps that computed the UNet, in float32.

    `pred_x0` is clipped as the scheduler clips it, when it is kept and when it is reused.
    """

    def __init__(self) -> None:
        self._outputs: tuple[_ComputedOutput, ...] = ()

    def write(
        self, step: int, x_t: Float[Tensor, "B C H W"], output: Float[Tensor, "B K H W"], at: StepCoefficients
    ) -> None:
        """Keep the guided output of a computed step: C channels, then those of the learned sigma, if any."""
        x_t, output, channels = x_t.float(), output.float(), x_t.shape[1]
        prediction = output[:, :channels]
        latest = _ComputedOutput(
            step=step,
            eps=at.eps(x_t, prediction),
            pred_x0=at.pred_x0(x_t, prediction),
            sigma=output[:, channels:],
        )
        self._outputs = (*self._outputs[-2:], latest)

    def reuse(
        self, action: Action, step: int, x_t: Float[Tensor, "B C H W"], at: StepCoefficients
    ) -> Float[Tensor, "B K H W"]:
        """Return the output of a step that reuses the UNet by `action`. Raises ReuseError.

        Order 0 repeats the latest output; order 1 extrapolates the last two linearly in the step index, order 2 the
        last three quadratically, as the reuse of any component does. In the space `eps` the noise prediction is reused,
        in `x0` the clean sample; the model output follows from it and the current `x_t`. The learned sigma is always
        repeated: it is an interpolation weight, which extrapolation would take out of range.
        """
        computed, needed = len(self._outputs), action.order + 1
        if computed < needed:
            raise ReuseError(
                f"step {step} reuses unet at order {action.order}, but {computed} earlier step{'s' * (computed != 1)} "
                f"of this run computed it; it needs {needed}"
            )
        x_t = x_t.float()
        if action.space == "x0":
            pred_x0 = self._value_at(step, "pred_x0", action.order).clamp(-at.clip, at.clip)
            prediction = at.output_of_x0(x_t, pred_x0)
        else:
            prediction = at.output_of_eps(x_t, self._value_at(step, "eps", action.order))
        return torch.cat([prediction, self._outputs[-1].sigma], dim=1)

    def _value_at(self, step: int, field: Literal["eps", "pred_x0"], order: int) -> Float[Tensor, "B C H W"]:
        read = self._outputs[: -order - 2 : -1]  # latest first
        values: list[Tensor] = [getattr(output, field) for output in read]
        return extrapolated(step, [output.step for output in read], values)
