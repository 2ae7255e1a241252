"""Pictures that are read are counted before they are unpacked, and hashed without being read whole."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from compute.images import PIXEL_LIMIT, read_picture
from store.errors import SkipscopeError


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims a size, with hardly any pixels."""
    data = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", data), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    parts = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("side", [9_000, 12_000, 60_000])
def test_a_picture_of_too_many_pixels_is_refused(tmp_path: Path, side: int) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(png_of(side, side))
    with pytest.raises(SkipscopeError, match=f"at most {PIXEL_LIMIT} are accepted|decompression bomb"):
        read_picture(path)


@pytest.mark.parametrize("data", [b"", b"GIF89a", png_of(16, 16)])
def test_a_damaged_picture_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "damaged.png"
    path.write_bytes(data)
    with pytest.raises(SkipscopeError) as caught:
        read_picture(path)
    assert str(caught.value) and "\n" not in str(caught.value)


def test_a_picture_is_read_as_rgb(tmp_path: Path) -> None:
    path, data = tmp_path / "grey.png", io.BytesIO()
    Image.new("L", (4, 4), 7).save(data, format="PNG")
    path.write_bytes(data.getvalue())
    assert read_picture(path).getpixel((0, 0)) == (7, 7, 7)
