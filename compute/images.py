"""Pictures as images: conversion from arrays, PNG files, fonts and captions. No torch."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageFont

from store.errors import SkipscopeError
from store.folder.files import save_file

INK, PAPER, RULE = (32, 33, 36), (255, 255, 255), (190, 192, 196)
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


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
