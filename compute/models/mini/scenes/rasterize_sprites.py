"""Makes the bundled sprite sheet from the Noto Color Emoji font. Needed only when the set of objects changes.

    python -m compute.models.mini.scenes.rasterize_sprites /usr/share/fonts/truetype/noto/NotoColorEmoji.ttf

The font (Debian: fonts-noto-color-emoji) is needed for nothing else.
"""

from __future__ import annotations

import sys

from PIL import Image, ImageDraw, ImageFont

from compute.models.mini.scenes.render import SHEET, SHEET_COLUMNS, SPRITE_SIDE
from compute.models.mini.scenes.scene import OBJECTS

_BITMAP_SIZE = 109  # the only size of the font's bitmaps


def rasterize(font: ImageFont.FreeTypeFont, emoji: str) -> Image.Image:
    """Return an emoji as RGBA, cropped to its bounding box and centred in a square of SPRITE_SIDE pixels."""
    canvas = Image.new("RGBA", (_BITMAP_SIZE * 2, _BITMAP_SIZE * 2))
    ImageDraw.Draw(canvas).text((20, 20), emoji, font=font, embedded_color=True)
    cropped = canvas.crop(canvas.getbbox())
    square = Image.new("RGBA", (max(cropped.size), max(cropped.size)))
    square.paste(cropped, ((square.width - cropped.width) // 2, (square.height - cropped.height) // 2))
    return square.resize((SPRITE_SIDE, SPRITE_SIDE), Image.Resampling.LANCZOS)


def main(font_path: str) -> None:
    """Write the sheet of all objects to SHEET."""
    font = ImageFont.truetype(font_path, size=_BITMAP_SIZE)
    rows = -(-len(OBJECTS) // SHEET_COLUMNS)
    sheet = Image.new("RGBA", (SHEET_COLUMNS * SPRITE_SIDE, rows * SPRITE_SIDE))
    for i, emoji in enumerate(OBJECTS.values()):
        corner = (i % SHEET_COLUMNS * SPRITE_SIDE, i // SHEET_COLUMNS * SPRITE_SIDE)
        sheet.paste(rasterize(font, emoji), corner)
    SHEET.parent.mkdir(exist_ok=True)
    sheet.save(SHEET, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1])
