"""Draws the bundled sprite sheet from the Noto Color Emoji font: run once, only to change the set of objects.

    python -m compute.models.mini.scenes.make_sprites /usr/share/fonts/truetype/noto/NotoColorEmoji.ttf

The font (Debian: fonts-noto-color-emoji) is needed here and nowhere else.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from compute.models.mini.scenes.render import SHEET, SHEET_COLUMNS, SPRITE_SIDE
from compute.models.mini.scenes.scene import OBJECTS

_BITMAP_SIZE = 109  # the only size the font's bitmaps come in


def sprite(font: ImageFont.FreeTypeFont, emoji: str) -> Image.Image:
    """One emoji, cropped to its ink and centred in a square of SPRITE_SIDE pixels, with alpha."""
    canvas = Image.new("RGBA", (_BITMAP_SIZE * 2, _BITMAP_SIZE * 2))
    ImageDraw.Draw(canvas).text((20, 20), emoji, font=font, embedded_color=True)
    ink = canvas.crop(canvas.getbbox())
    square = Image.new("RGBA", (max(ink.size), max(ink.size)))
    square.paste(ink, ((square.width - ink.width) // 2, (square.height - ink.height) // 2))
    return square.resize((SPRITE_SIDE, SPRITE_SIDE), Image.Resampling.LANCZOS)


def main(font_path: str) -> None:
    font = ImageFont.truetype(font_path, size=_BITMAP_SIZE)
    rows = -(-len(OBJECTS) // SHEET_COLUMNS)
    sheet = Image.new("RGBA", (SHEET_COLUMNS * SPRITE_SIDE, rows * SPRITE_SIDE))
    for i, emoji in enumerate(OBJECTS.values()):
        place = (i % SHEET_COLUMNS * SPRITE_SIDE, i // SHEET_COLUMNS * SPRITE_SIDE)
        sheet.paste(sprite(font, emoji), place)
    Path(SHEET).parent.mkdir(exist_ok=True)
    sheet.save(SHEET, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1])
