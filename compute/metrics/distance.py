"""Distances between two trajectories at one step: relative L2 and cosine of `x_t` or `pred_x0`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from store.shard.payload import DistanceName


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


def trajectory_distances(
    x_t: npt.NDArray[np.float32],
    pred_x0: npt.NDArray[np.float32],
    baseline_x_t: npt.NDArray[np.float32],
    baseline_pred_x0: npt.NDArray[np.float32],
) -> dict[DistanceName, npt.NDArray[np.float32]]:
    """Relative L2 and cosine of two trajectories of S steps and B samples, (S, B) each; inputs are (S, B, C, H, W)."""
    pairs = {"x_t": (x_t, baseline_x_t), "pred_x0": (pred_x0, baseline_pred_x0)}
    measures = {"rel_l2": relative_l2, "cosine": cosine}
    found: dict[DistanceName, npt.NDArray[np.float32]] = {}
    for what, (values, baseline) in pairs.items():
        ours, theirs = (torch.from_numpy(np.ascontiguousarray(v)).flatten(0, 1) for v in (values, baseline))
        for measure, function in measures.items():
            name: DistanceName = f"{what}_{measure}"  # type: ignore[assignment]
            found[name] = function(ours, theirs).view(values.shape[:2]).float().numpy()
    return found
