"""Pictures as images: conversion from arrays, PNG files, fonts and captions. No torch."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageFont

from store.errors import SkipscopeError
from store.folder.files import save_file

INK, PAPER, RULE = (32, 33, 36), (255, 255, 255), (190, 192, 196)
PIXEL_LIMIT = 1 << 26
"""Pixels of a picture that is read: 8192 x 8192."""
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def read_picture(path: Path) -> Image.Image:
    """Read a picture file as RGB.

    Raises SkipscopeError, whose message does not name the file, for one that is no picture or has more pixels than
    PIXEL_LIMIT; they are counted before any is unpacked.
    """
    try:
        with (
            warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning),
            Image.open(path) as image,
        ):
            if image.width * image.height > PIXEL_LIMIT:
                raise SkipscopeError(f"{image.width} x {image.height} pixels; at most {PIXEL_LIMIT} are accepted")
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError) as error:
        raise SkipscopeError((str(error) or type(error).__name__).partition("\n")[0][:200]) from None


def image_of(picture: Float[np.ndarray, "3 H W"], side: int | None = None) -> Image.Image:
    """Convert a picture in [-1, 1] to an image, enlarged to `side` pixels without smoothing."""
    pixels = ((picture.transpose(1, 2, 0).clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)
    image = Image.fromarray(pixels)
    return image if side is None else image.resize((side, side), Image.Resampling.NEAREST)


def font(size: int) -> Font:
    """Return the font of sheets, which comes with Pillow."""
    return ImageFont.load_default(size)


def wrapped(text: str, width: int, font: Font) -> str:
    """Wrap text into lines of at most `width` pixels, after spaces and after the dots of component names."""
    lines = [""]
    for word in text.replace(".", ".\u200b").replace(" ", " \u200b").split("\u200b"):
        if lines[-1] and font.getlength((lines[-1] + word).rstrip()) > width:
            lines.append("")
        lines[-1] += word
    return "\n".join(line.rstrip() for line in lines)


def save_png(image: Image.Image, path: Path) -> None:
    """Write a PNG and create its folder. Raises SkipscopeError if that is impossible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SkipscopeError(f"{path}: cannot be written: {error.strerror or error}") from error
    png = BytesIO()
    image.save(png, format="PNG")
    save_file(path, png.getvalue())
