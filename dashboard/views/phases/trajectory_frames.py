"""Frames of a trajectory for its film strip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, UInt8

from dashboard.widgets.images import data_url, pixels_of

_MIN_SIDE = 192  # pixels


def trajectory_frames(
    pictures: Float32[np.ndarray, "S C H W"], steps: Sequence[int], count: int = 9
) -> list[tuple[int, str]]:
    """Return (step, `data:` address) of at most `count` pictures of a trajectory, which are in [-1, 1]."""
    return [(steps[i], data_url(_enlarged(pixels_of(pictures[i])))) for i in evenly_spread(len(steps), count)]


def evenly_spread(length: int, count: int) -> list[int]:
    """Return at most `count` positions of a sequence, evenly spread from the first to the last."""
    if length <= count:
        return list(range(length))
    return sorted({round(position) for position in np.linspace(0, length - 1, count)})


def _enlarged(pixels: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Return a small picture enlarged by a whole factor, so that it has sharp edges in a chart, which smooths it."""
    factor = -(-_MIN_SIDE // max(pixels.shape[:2]))
    return pixels.repeat(factor, 0).repeat(factor, 1)
