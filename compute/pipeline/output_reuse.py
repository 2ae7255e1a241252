"""The output of the whole UNet at a dropped step: repeated or extrapolated from the steps that computed it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

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
    """The outputs of the last two steps that computed the UNet.

    `pred_x0` is clipped to [-`clip`, `clip`], the range of pixels, when it is kept and when it is reused.
    """

    def __init__(self, clip: float) -> None:
        self._clip = clip
        self._outputs: tuple[_ComputedOutput, ...] = ()

    def write(
        self, step: int, x_t: Float[Tensor, "B C H W"], output: Float[Tensor, "B K H W"], alpha_bar: float
    ) -> None:
        """Keep the guided output of a computed step: C channels of eps, then those of the learned sigma, if any."""
        eps, sigma = output[:, : x_t.shape[1]], output[:, x_t.shape[1] :]
        pred_x0 = ((x_t - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)).clamp(-self._clip, self._clip)
        latest = _ComputedOutput(step=step, eps=eps, pred_x0=pred_x0, sigma=sigma)
        self._outputs = (*self._outputs[-1:], latest)

    def reuse(
        self, action: Action, step: int, x_t: Float[Tensor, "B C H W"], alpha_bar: float
    ) -> Float[Tensor, "B K H W"]:
        """Return the output of a step that reuses the UNet by `action`. Raises ReuseError.

        Order 0 repeats the latest output; order 1 extrapolates the last two linearly in the step index, as the reuse
        of any component does. In the space `x0`, eps follows from the reused `pred_x0` and the current `x_t`. The
        learned sigma is always repeated: it is an interpolation weight, which extrapolation would take out of range.
        """
        computed, needed = len(self._outputs), action.order + 1
        if computed < needed:
            raise ReuseError(
                f"step {step} reuses unet at order {action.order}, but {computed} earlier step{'s' * (computed != 1)} "
                f"of this run computed it; it needs {needed}"
            )
        if action.space == "x0":
            pred_x0 = self._value_at(step, "pred_x0", action.order).clamp(-self._clip, self._clip)
            eps = (x_t - math.sqrt(alpha_bar) * pred_x0) / math.sqrt(1 - alpha_bar)
        else:
            eps = self._value_at(step, "eps", action.order)
        return torch.cat([eps, self._outputs[-1].sigma], dim=1)

    def _value_at(self, step: int, field: Literal["eps", "pred_x0"], order: int) -> Float[Tensor, "B C H W"]:
        earlier, latest = self._outputs[0], self._outputs[-1]
        value: Tensor = getattr(latest, field)
        return value if order == 0 else extrapolated(step, (latest.step, earlier.step), value, getattr(earlier, field))
