"""A dropped step: the whole UNet's guided output, repeated or extrapolated from the steps that computed it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from compute.policy.extrapolation import extrapolated
from store.errors import SkipscopeError
from store.records import Action


class ReuseError(SkipscopeError):
    """A step reuses what no earlier step of the run computed."""


@dataclass(frozen=True, kw_only=True)
class _Computed:
    """What one computed step leaves behind, (B, C, H, W) each; `sigma` may have no channels."""

    step: int
    eps: Tensor
    pred_x0: Tensor
    sigma: Tensor


class OutputMemory:
    """The outputs of the last two computed steps; only a step that really called the UNet writes it.

    `pred_x0` is kept and reused within plus and minus `clip`, the range of pixels.
    """

    def __init__(self, clip: float) -> None:
        self._clip = clip
        self._computed: tuple[_Computed, ...] = ()

    def write(self, step: int, x_t: Tensor, output: Float[Tensor, "B K H W"], alpha_bar: float) -> None:
        """Keep a computed step's guided output: C channels of eps, then those of the learned sigma."""
        eps, sigma = output[:, : x_t.shape[1]], output[:, x_t.shape[1] :]
        pred_x0 = ((x_t - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)).clamp(-self._clip, self._clip)
        latest = _Computed(step=step, eps=eps, pred_x0=pred_x0, sigma=sigma)
        self._computed = (*self._computed[-1:], latest)

    def reuse(self, action: Action, step: int, x_t: Tensor, alpha_bar: float) -> Float[Tensor, "B K H W"]:
        """The output that `action` gives a step instead of the UNet's. Raises ReuseError.

        Order 1 extrapolates linearly in the step index, the abscissa of every other component's `reuse` too. The
        learned sigma is repeated in both orders: it is an interpolation weight, and extrapolated would leave its range.
        """
        there, needed = len(self._computed), action.order + 1
        if there < needed:
            raise ReuseError(
                f"step {step} reuses unet at order {action.order}, but {there} earlier step{'s' * (there != 1)} of "
                f"this run computed it; it needs {needed}"
            )
        last = self._computed[-1]
        if action.space == "x0":
            pred_x0 = self._at(step, "pred_x0", action.order).clamp(-self._clip, self._clip)
            eps = (x_t - math.sqrt(alpha_bar) * pred_x0) / math.sqrt(1 - alpha_bar)
        else:
            eps = self._at(step, "eps", action.order)
        return torch.cat([eps, last.sigma], dim=1)

    def _at(self, step: int, field: str, order: int) -> Tensor:
        last: Tensor = getattr(self._computed[-1], field)
        if order == 0:
            return last
        before: Tensor = getattr(self._computed[0], field)
        return extrapolated(step, (self._computed[-1].step, self._computed[0].step), last, before)
