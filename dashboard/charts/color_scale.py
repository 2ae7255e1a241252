"""The colour scale of impact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import altair as alt

from compute.analysis.impact.scale import Scale
from dashboard.theme.colors import luminance, rgb
from dashboard.theme.palette import Palette

_MIDDLE_LUMINANCE = 0.179  # at which black and white text have the same contrast, 4.6:1


@dataclass(frozen=True, kw_only=True)
class ColorScale:
    """Colours for the values from `low` to `high`; the more harmful end contrasts more with the background.

    Damage starts at 0 and follows its square root. Differences are symmetric about 0. Other values are linear over
    their range.
    """

    scale: Scale
    low: float
    high: float
    palette: Palette
    higher_is_worse: bool

    @classmethod
    def of(cls, values: Sequence[float], scale: Scale, higher_is_worse: bool, palette: Palette) -> ColorScale:
        """Return the colour scale that covers some values."""
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
        """The scale as a chart's encoding takes it."""
        colors = list(self._colors)
        if not self.higher_is_worse:
            colors.reverse()
        kind: Literal["sqrt", "linear"] = "sqrt" if self.scale == "damage" else "linear"
        return alt.Scale(type=kind, domain=[self.low, self.high], range=colors, clamp=True, interpolate="rgb")

    def color(self, value: float) -> str:
        """Return the colour of a value, `#rrggbb`, interpolated as the browser does it."""
        share = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        share = share**0.5 if self.scale == "damage" else share
        position = (share if self.higher_is_worse else 1 - share) * (len(self._colors) - 1)
        below, above = rgb(self._colors[math.floor(position)]), rgb(self._colors[math.ceil(position)])
        part = position - math.floor(position)
        mixed = [round(a + (b - a) * part) for a, b in zip(below, above, strict=True)]
        return "#" + "".join(f"{channel:02x}" for channel in mixed)

    def needs_dark_text(self, value: float) -> bool:
        """Return whether dark text is more readable than light text on the colour of a value."""
        return luminance(self.color(value)) > _MIDDLE_LUMINANCE

    @property
    def _colors(self) -> tuple[str, ...]:
        return self.palette.change if self.scale == "difference" else self.palette.heat
