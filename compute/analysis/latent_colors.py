"""Latents as pictures to look at: a linear map from latent channels to colours, fitted to a sweep's own pictures.

A film strip of 50 latents needs no 50 decodes. The map is good enough to look at; metrics are of decoded pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64


@dataclass(frozen=True, kw_only=True)
class LatentColors:
    """A linear map: colour = channels @ `weights` + `offset`, clipped to [-1, 1]."""

    weights: Float64[np.ndarray, "C 3"]
    offset: Float64[np.ndarray, " 3"]

    def pictures(self, latents: Float[np.ndarray, "n C h w"]) -> Float32[np.ndarray, "n 3 h w"]:
        """Return latents as pictures of their own size, in [-1, 1]."""
        colors = np.moveaxis(latents.astype(np.float64), 1, -1) @ self.weights + self.offset
        return np.moveaxis(colors, -1, 1).clip(-1, 1).astype(np.float32)


def fit_latent_colors(latents: Float[np.ndarray, "n C h w"], pictures: Float[np.ndarray, "n 3 H W"]) -> LatentColors:
    """Fit the map to final latents and their decoded pictures by least squares.

    Pictures are reduced to the latents' size by the mean of each patch; H and W must be multiples of h and w, else
    ValueError is raised.
    """
    (count, channels, height, width), (_, _, full_height, full_width) = latents.shape, pictures.shape
    rows, columns = full_height // height, full_width // width
    patches = pictures.astype(np.float64).reshape(count, 3, height, rows, width, columns)
    targets = np.moveaxis(patches.mean(axis=(3, 5)), 1, -1).reshape(-1, 3)
    inputs = np.moveaxis(latents.astype(np.float64), 1, -1).reshape(-1, channels)
    with_one = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
    solution, *_ = np.linalg.lstsq(with_one, targets, rcond=None)
    return LatentColors(weights=solution[:-1], offset=solution[-1])
