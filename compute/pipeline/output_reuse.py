"""The output of the whole UNet at a dropped step: repeated or extrapolated from the steps that computed it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from compute.pipeline.step_coefficients import StepCoefficients
from compute.policy.extrapolation import reused_value
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
    """The outputs of the last `depth` steps that computed the UNet, in float32.

    `pred_x0` is clipped as the scheduler clips it, when it is kept and when it is reused.
    """

    def __init__(self, depth: int = 3) -> None:
        self._depth = depth
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
        self._outputs = (latest, *self._outputs)[: self._depth]

    def reuse(
        self, action: Action, step: int, x_t: Float[Tensor, "B C H W"], at: StepCoefficients
    ) -> Float[Tensor, "B K H W"]:
        """Return the output of a step that reuses the UNet by `action`. Raises ReuseError.

        Order 0 repeats the latest output; order 1 extrapolates the last two linearly in the step index, order 2 the
        last three quadratically, as the reuse of any component does; with weights it is their sum, with that of `x_t`.
        In the space `eps` the noise prediction is reused, in `x0` the clean sample; the model output follows from it
        and the current `x_t`. The learned sigma is always repeated: it is an interpolation weight, which extrapolation
        would take out of range.
        """
        computed, needed = len(self._outputs), action.values_read
        if computed < needed:
            how = f"at order {action.order}" if action.weights is None else f"by {needed} weights"
            raise ReuseError(
                f"step {step} reuses unet {how}, but {computed} earlier step{'s' * (computed != 1)} "
                f"of this run computed it; it needs {needed}"
            )
        x_t = x_t.float()
        read = self._outputs[:needed]
        in_x0 = action.space == "x0"
        values = [output.pred_x0 if in_x0 else output.eps for output in read]
        value = reused_value(action, step, [output.step for output in read], values)
        if action.state is not None:
            value = value + action.state * x_t
        prediction = at.output_of_x0(x_t, value.clamp(-at.clip, at.clip)) if in_x0 else at.output_of_eps(x_t, value)
        return torch.cat([prediction, self._outputs[0].sigma], dim=1)
