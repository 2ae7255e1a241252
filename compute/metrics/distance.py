"""Distances between two trajectories at one step: relative L2 and cosine of `x_t` or `pred_x0`."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def relative_l2(values: Float[Tensor, "B C H W"], baseline: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
    """‖values − baseline‖ / ‖baseline‖ of each sample, in float64; 0 where both are zero.

    The denominator is at least 1e-12, so that a baseline of zeros (a picture of exact mid-gray) gives a finite number.
    """
    difference = torch.linalg.vector_norm((values.double() - baseline.double()).flatten(1), dim=1)
    norm = torch.linalg.vector_norm(baseline.double().flatten(1), dim=1)
    quotient: Tensor = difference / norm.clamp(min=1e-12)
    return quotient


def cosine(values: Float[Tensor, "B C H W"], baseline: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
    """Cosine similarity of each sample in [-1, 1], in float64: exactly 1 of equal ones, 0 where just one is zero."""
    a, b = values.double().flatten(1), baseline.double().flatten(1)
    squares = (a * a).sum(1) * (b * b).sum(1)
    similarity = ((a * b).sum(1) / squares.sqrt()).clamp(-1, 1)
    both_zero = (a == 0).all(1) & (b == 0).all(1)
    return torch.where(squares > 0, similarity, both_zero.double())
