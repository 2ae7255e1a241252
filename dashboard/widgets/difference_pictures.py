"""Pictures of where two pictures differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, UInt8

from dashboard.theme.colors import rgb
from dashboard.theme.palette import Palette

GAINS = (1, 2, 4, 8, 16, 32, 64)
_CLIPPED = 0.01  # greatest share of pixels beyond the colour scale


def distance_map(
    picture: Float[np.ndarray, "C H W"], baseline: Float[np.ndarray, "C H W"]
) -> Float32[np.ndarray, "H W"]:
    """Return the distance of each pixel of two pictures in [-1, 1], mean over channels: 1 between black and white."""
    return (np.abs(picture.astype(np.float32) - baseline.astype(np.float32)).mean(0) / 2).astype(np.float32)


def gain_for(maps: Sequence[Float32[np.ndarray, "H W"]]) -> int:
    """Return the greatest of GAINS with which at most 1% of the pixels of some distance maps exceed 1; at least 1."""
    if not maps:
        return 1
    high = float(np.quantile(np.concatenate([distances.ravel() for distances in maps]), 1 - _CLIPPED))
    return max((gain for gain in GAINS if high * gain <= 1), default=1) if high > 0 else 1


def difference_pixels(distances: Float32[np.ndarray, "H W"], gain: int, palette: Palette) -> UInt8[np.ndarray, "H W 3"]:
    """Return a distance map, multiplied by `gain`, in a palette's colours for differences."""
    stops = np.array([rgb(color) for color in palette.difference], dtype=np.float32)
    positions = np.clip(distances * gain, 0, 1) * (len(stops) - 1)
    channels = [np.interp(positions, np.arange(len(stops)), stops[:, channel]) for channel in range(3)]
    pixels: UInt8[np.ndarray, "H W 3"] = np.stack(channels, axis=-1).round().astype(np.uint8)
    return pixels
