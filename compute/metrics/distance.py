"""Distances between two trajectories: relative L2 and cosine similarity of `x_t` and `pred_x0` at each step."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from store.shard.payload import DistanceName


def relative_l2(values: Float[Tensor, "B C H W"], baseline: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
    """Return ‖values − baseline‖ / ‖baseline‖ of each sample, in float64; 0 where both are zero.

    The denominator is at least 1e-12, so the result is finite for a baseline of zeros, a picture of exact mid-gray.
    """
    difference = torch.linalg.vector_norm((values.double() - baseline.double()).flatten(1), dim=1)
    norm = torch.linalg.vector_norm(baseline.double().flatten(1), dim=1)
    quotient: Tensor = difference / norm.clamp(min=1e-12)
    return quotient


def cosine(values: Float[Tensor, "B C H W"], baseline: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
    """Return the cosine similarity of each sample, in [-1, 1] and float64: 1 where both are zero, 0 where one is."""
    a, b = values.double().flatten(1), baseline.double().flatten(1)
    squares = (a * a).sum(1) * (b * b).sum(1)
    similarity = ((a * b).sum(1) / squares.sqrt()).clamp(-1, 1)
    both_zero = (a == 0).all(1) & (b == 0).all(1)
    return torch.where(squares > 0, similarity, both_zero.double())


def trajectory_distances(
    x_t: Float32[np.ndarray, "S B C H W"],
    pred_x0: Float32[np.ndarray, "S B C H W"],
    baseline_x_t: Float32[np.ndarray, "S B C H W"],
    baseline_pred_x0: Float32[np.ndarray, "S B C H W"],
) -> dict[DistanceName, Float32[np.ndarray, "S B"]]:
    """Return the relative L2 distance and the cosine similarity of two trajectories, of S steps and B samples."""
    pairs = {"x_t": (x_t, baseline_x_t), "pred_x0": (pred_x0, baseline_pred_x0)}
    measures = {"rel_l2": relative_l2, "cosine": cosine}
    distances: dict[DistanceName, Float32[np.ndarray, "S B"]] = {}
    for quantity, arrays in pairs.items():
        values, baseline = (torch.from_numpy(np.ascontiguousarray(array)).flatten(0, 1) for array in arrays)
        for measure, function in measures.items():
            name: DistanceName = f"{quantity}_{measure}"  # type: ignore[assignment]
            distances[name] = function(values, baseline).view(x_t.shape[:2]).float().numpy()
    return distances
