"""Arrays to small PNGs in the page itself, enlarged by the browser without smoothing."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from dashboard.theme.palette import Palette

Floats = npt.NDArray[np.floating]
Pixels = npt.NDArray[np.uint8]
GAINS = (1, 2, 4, 8, 16, 32, 64)
_THUMBNAIL = 64


def pixels_of(picture: Floats) -> Pixels:
    """A (C, H, W) array in [-1, 1] as (H, W, 3) pixels; values beyond are clipped.

    One channel is gray; of more than three, which only latents have, the first three are taken for red, green, blue.
    """
    values = np.asarray(picture, dtype=np.float32)
    colours = np.repeat(values[:1], 3, axis=0) if len(values) < 3 else values[:3]
    pixels: Pixels = ((colours.transpose(1, 2, 0).clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)
    return pixels


def distance_map(picture: Floats, baseline: Floats) -> npt.NDArray[np.float32]:
    """(H, W): how far each pixel of two (C, H, W) pictures is apart, mean over channels; 1 is black against white."""
    return (np.abs(picture.astype(np.float32) - baseline.astype(np.float32)).mean(0) / 2).astype(np.float32)


def gain_for(maps: Sequence[npt.NDArray[np.float32]]) -> int:
    """The greatest amplification with which at most 1 in 100 pixels of the maps leaves the scale."""
    if not maps:
        return 1
    top = float(np.quantile(np.concatenate([each.ravel() for each in maps]), 0.99))
    return max((gain for gain in GAINS if top * gain <= 1), default=1) if top > 0 else 1


def heat_pixels(distances: npt.NDArray[np.float32], gain: int, palette: Palette) -> Pixels:
    """A distance map times `gain` in the theme's heat colours, (H, W, 3)."""
    stops = np.array(
        [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in palette.difference], dtype=np.float32
    )
    at = np.clip(distances * gain, 0, 1) * (len(stops) - 1)
    channels = [np.interp(at, np.arange(len(stops)), stops[:, channel]) for channel in range(3)]
    pixels: Pixels = np.stack(channels, axis=-1).round().astype(np.uint8)
    return pixels


def source_of(pixels: Pixels, *, thumbnail: bool = False) -> str:
    """The pixels as a PNG in a `data:` address; a thumbnail of a large picture is reduced."""
    image = Image.fromarray(pixels)
    if thumbnail and max(image.size) > _THUMBNAIL:
        image.thumbnail((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)
    data = io.BytesIO()
    image.save(data, format="PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode("ascii")
