"""A sheet of pictures with their captions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Float
from PIL import Image, ImageDraw
from torch import Tensor

from compute.images import INK, PAPER, font, image_of, save_png, wrapped

_SIDE, _CAPTION_HEIGHT, _GAP = 112, 46, 10  # in pixels


def write_captioned_sheet(
    pictures: Float[Tensor, "B 3 H W"], captions: Sequence[str], path: Path, *, columns: int = 8
) -> None:
    """Write square pictures in [-1, 1], each above its caption, to a PNG. Raises SkipscopeError where that fails."""
    rows = -(-len(captions) // columns)
    size = columns * (_SIDE + _GAP) + _GAP, rows * (_SIDE + _CAPTION_HEIGHT + _GAP) + _GAP
    sheet, typeface = Image.new("RGB", size, PAPER), font(11)
    canvas = ImageDraw.Draw(sheet)
    for i, (picture, caption) in enumerate(zip(pictures.numpy(), captions, strict=True)):
        left, top = _GAP + i % columns * (_SIDE + _GAP), _GAP + i // columns * (_SIDE + _CAPTION_HEIGHT + _GAP)
        sheet.paste(image_of(picture, _SIDE), (left, top))
        text = wrapped(caption, _SIDE, typeface)
        canvas.multiline_text((left, top + _SIDE + 3), text, fill=INK, font=typeface, spacing=1)
    save_png(sheet, path)
