"""From numbers to the colours of a map: from zero upwards, about zero, or over a range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import altair as alt

from compute.analysis.impact.scale import Scale
from dashboard.theme.palette import Palette

_MIDDLE = 0.2  # the luminance on which dark and light letters are about as well read


@dataclass(frozen=True, kw_only=True)
class Shades:
    """A colour scale for `values`: damage from 0 by square root, differences about 0, other values over their range.

    The more harmful end is always the one farther from the background.
    """

    scale: Scale
    low: float
    high: float
    palette: Palette
    higher_is_worse: bool

    @classmethod
    def of(cls, values: Sequence[float], scale: Scale, higher_is_worse: bool, palette: Palette) -> Shades:
        """The shades that cover some values."""
        finite = [value for value in values if math.isfinite(value)] or [0.0]
        low, high = min(finite), max(finite)
        if scale == "damage":
            low, high = 0.0, max(high, 1e-3)
        elif scale == "difference":
            high = max(abs(low), abs(high), 1e-3)
            low = -high
        elif high <= low:
            high = low + 1.0
        return cls(scale=scale, low=low, high=high, palette=palette, higher_is_worse=higher_is_worse)

    @property
    def vega(self) -> alt.Scale:
        """The scale for a chart."""
        colours = list(self._colours)
        if not self.higher_is_worse:
            colours.reverse()
        kind: Literal["sqrt", "linear"] = "sqrt" if self.scale == "damage" else "linear"
        return alt.Scale(type=kind, domain=[self.low, self.high], range=colours, clamp=True, interpolate="rgb")

    def colour(self, value: float) -> str:
        """The colour of a value, as the browser mixes it."""
        share = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        share = share**0.5 if self.scale == "damage" else share
        at = (share if self.higher_is_worse else 1 - share) * (len(self._colours) - 1)
        below, above = (_channels(self._colours[place]) for place in (math.floor(at), math.ceil(at)))
        mixed = [round(a + (b - a) * (at - math.floor(at))) for a, b in zip(below, above, strict=True)]
        return "#" + "".join(f"{channel:02x}" for channel in mixed)

    def dark_ink(self, value: float) -> bool:
        """Whether dark letters are read better than light ones on the colour of a value."""
        return luminance(self.colour(value)) > _MIDDLE

    @property
    def _colours(self) -> tuple[str, ...]:
        return self.palette.change if self.scale == "difference" else self.palette.heat


def luminance(colour: str) -> float:
    """Relative luminance of a hex colour (WCAG 2.2)."""
    parts = [channel / 255 for channel in _channels(colour)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _channels(colour: str) -> list[int]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
