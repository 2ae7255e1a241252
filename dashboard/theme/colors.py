"""Colours as numbers."""

from __future__ import annotations


def rgb(color: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255, of a colour `#rrggbb`."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue


def luminance(color: str) -> float:
    """Return the relative luminance of a colour `#rrggbb`, 0 to 1 (WCAG 2.2)."""
    shares = [channel / 255 for channel in rgb(color)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
