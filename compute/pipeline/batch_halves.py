"""The two halves of a guided batch: what a pipeline makes of them, and so which of them is the conditional.

Classifier-free guidance (Ho and Salimans, arXiv 2207.12598) mixes the outputs of both halves,
`output = unconditional + scale * (conditional - unconditional)`. With a scale above 1 the weight of the unconditional
half, 1 - scale, is negative: so the weights of a mix show which half it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from compute.pipeline.run_steps import FollowError

_ROUNDINGS = 16
"""How many roundings, at the least, a mix may be off by."""
_LEAST_WEIGHT = 1e-3
"""A weight nearer to zero shows nothing."""


@dataclass(frozen=True, kw_only=True)
class Mix:
    """What a pipeline made of the halves of a batch, by sample.

    `conditional` is the conditional half, 0 or 1; None where the halves are too equal, or no weight is negative.
    """

    scale: Float[Tensor, " B"]
    """The weight of the second half as a share of both."""
    conditional: int | None


def mix_of(
    first: Float[Tensor, "B C H W"],
    second: Float[Tensor, "B C H W"],
    mixed: Float[Tensor, "B C H W"],
    *,
    where: str,
    is_rescaled: bool = False,
) -> Mix:
    """Return how `mixed` was made of the outputs of both halves.

    With `is_rescaled` (`guidance_rescale`, arXiv 2305.08891, section 3.4) it may be any multiple of a mix. Raises
    FollowError, which names the step as `where`, for what is no mix.
    """
    unit = _ROUNDINGS * max(torch.finfo(first.dtype).eps, torch.finfo(mixed.dtype).eps)
    halves = [_double(half) for half in (first, second)]
    target, difference = _double(mixed), halves[1] - halves[0]
    weights = _weights(halves[0], difference, target, is_rescaled)
    residual = _size(target - weights[0, :, None] * halves[0] - weights[1, :, None] * halves[1])
    rounding = unit * (weights[0].abs() * _size(halves[0]) + weights[1].abs() * _size(halves[1]) + _size(target))
    if (bad := residual > rounding).any():  # not where they are NaN, which shows nothing
        row = int(bad.int().argmax())
        seen = f"{weights[0, row]:.3g} of the first half and {weights[1, row]:.3g} of the second"
        raise FollowError(
            f"guidance: at {where} the scheduler is given what is no mix of the two halves of the UNet's output (from "
            f"the nearest, {seen}, it is off by {residual[row] / _size(target)[row]:.1%}): pipelines that guide by "
            "unconditional + scale * (conditional - unconditional) are supported"
        )
    doubt = _LEAST_WEIGHT + rounding / _size(difference) / difference.shape[1] ** 0.5
    shown = {half for half in (0, 1) for row in _negative(weights[1 - half], weights[half], doubt) if row}
    if len(shown) > 1:
        raise FollowError(f"guidance: at {where} one half of the batch is the conditional of some pictures only")
    return Mix(scale=weights[1] / weights.sum(0), conditional=next(iter(shown), None))


def _weights(first: Tensor, difference: Tensor, target: Tensor, is_rescaled: bool) -> Float[Tensor, "2 B"]:
    """Return the weights of both halves by least squares; without rescaling their sum is 1."""
    along = (difference * difference).sum(1)
    if not is_rescaled:
        second = _divided((difference * (target - first)).sum(1), along)
        return torch.stack([1 - second, second])
    own, across = (first * first).sum(1), (first * difference).sum(1)
    on_first, on_difference = (first * target).sum(1), (difference * target).sum(1)
    determinant = own * along - across * across
    total = _divided(on_first * along - on_difference * across, determinant, (on_first / own).nan_to_num())
    second = _divided(own * on_difference - across * on_first, determinant)
    return torch.stack([total - second, second])


def _divided(value: Tensor, by: Tensor, otherwise: Tensor | float = 0.0) -> Tensor:
    """Return a quotient, or another value where the divisor is zero but for rounding."""
    other = torch.as_tensor(otherwise, dtype=value.dtype, device=value.device)
    return torch.where(by > 0, value / by, other)


def _negative(unconditional: Tensor, conditional: Tensor, doubt: Tensor) -> list[bool]:
    """Return for each sample whether its weights show that a half is the unconditional one."""
    shown: list[bool] = ((unconditional < -doubt) & (conditional > doubt)).tolist()
    return shown


def _double(values: Tensor) -> Float[Tensor, "B values"]:
    return values.detach().to(torch.float32 if values.device.type == "mps" else torch.float64).flatten(1)


def _size(values: Float[Tensor, "B values"]) -> Float[Tensor, " B"]:
    """Return the root mean square of each sample."""
    return values.square().mean(1).sqrt()
