"""Arrays as small PNGs in `data:` addresses, which the page enlarges without smoothing."""

from __future__ import annotations

import base64
import io

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

_THUMBNAIL = 64  # pixels of the longer side


def pixels_of(picture: Float[np.ndarray, "C H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """Return a picture in [-1, 1] as RGB pixels; values outside are clipped.

    One channel is shown as gray. Of more than three channels, which only latents have, the first three are shown.
    """
    values = np.asarray(picture, dtype=np.float32)
    channels = np.repeat(values[:1], 3, axis=0) if len(values) < 3 else values[:3]
    pixels: UInt8[np.ndarray, "H W 3"] = (
        ((channels.transpose(1, 2, 0).clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)
    )
    return pixels


def data_url(pixels: UInt8[np.ndarray, "H W 3"], *, thumbnail: bool = False) -> str:
    """Return pixels as a PNG in a `data:` address; as a thumbnail, a large picture is reduced."""
    image = Image.fromarray(reduced(pixels, _THUMBNAIL) if thumbnail else pixels)
    file = io.BytesIO()
    image.save(file, format="PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def reduced(pixels: UInt8[np.ndarray, "H W 3"], side: int) -> UInt8[np.ndarray, "h w 3"]:
    """Return a picture whose longer side has at most so many pixels."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.BOX)
    return np.asarray(image)
