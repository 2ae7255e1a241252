"""From numbers to the colours of a map: from zero upwards, about zero, or over a range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import altair as alt
import numpy as np

from compute.analysis.scale import Scale
from dashboard.palette import Palette


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
        finite = [value for value in values if np.isfinite(value)] or [0.0]
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
        colours = list(self.palette.change if self.scale == "difference" else self.palette.heat)
        if not self.higher_is_worse:
            colours.reverse()
        kind: Literal["sqrt", "linear"] = "sqrt" if self.scale == "damage" else "linear"
        return alt.Scale(type=kind, domain=[self.low, self.high], range=colours, clamp=True, interpolate="rgb")

    def dark_ink(self, value: float) -> bool:
        """Whether dark letters are read better than light ones on the colour of a value."""
        share = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        share = share**0.5 if self.scale == "damage" else share
        share = share if self.higher_is_worse else 1 - share
        colours = self.palette.change if self.scale == "difference" else self.palette.heat
        at = share * (len(colours) - 1)
        lightness = [_luminance(colours[int(np.floor(at))]), _luminance(colours[int(np.ceil(at))])]
        return float(np.interp(at - np.floor(at), [0, 1], lightness)) > 0.2


def _luminance(colour: str) -> float:
    """Relative luminance of a hex colour (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
