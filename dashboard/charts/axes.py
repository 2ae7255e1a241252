"""Data, axes, scales and layers of charts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import altair as alt

Row = dict[str, Any]
STEP_TITLE = "Sampling step (0 is the noisiest)"
_INTERVALS = (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000)
_MAX_LABELS = 26


def inline_data(rows: Sequence[Row]) -> alt.Data:
    """Return rows as data that stand in the chart's own specification."""
    return cast(alt.Data, cast(Any, alt.Data)(values=tuple(rows)))


def step_ticks(steps: int, max_labels: int = _MAX_LABELS) -> list[int]:
    """Return the steps that an axis labels, from 0 to at most `steps`: every one, or every n-th if there are many."""
    interval = next((n for n in _INTERVALS if steps / n < max_labels), max(1, steps // max_labels))
    return list(range(0, steps + 1, interval))


def step_axis(steps: int, *, max_labels: int = _MAX_LABELS) -> dict[str, Any]:
    """Return scale and axis over steps as keyword arguments of an x channel; step s occupies [s, s + 1)."""
    return {
        "scale": alt.Scale(domain=[0, steps], nice=False, zero=False),
        "axis": alt.Axis(title=STEP_TITLE, values=step_ticks(steps, max_labels), grid=False, format="d", tickSize=4),
    }


def fixed_scale(values: Sequence[float], *, margin: float = 0.04) -> alt.Scale:
    """Return a scale that covers some values, with a margin (a share of their range) except at 0 and 1.

    Its domain is fixed, because Streamlit sends the data to the browser's chart after the scales are set up.
    """
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    if low == high:
        return alt.Scale(domain=[low - 0.5, high + 0.5], nice=False, zero=False)
    padding = (high - low) * margin
    return alt.Scale(
        domain=[low if low in (0.0, 1.0) else low - padding, high if high in (0.0, 1.0) else high + padding],
        nice=False,
        zero=False,
    )


def layered(*layers: alt.Chart, height: int) -> alt.LayerChart:
    """Return layers as one chart, the first layer at the back; `height` is in pixels."""
    chart: alt.LayerChart = cast(Any, alt.layer(*layers)).properties(height=height)
    return chart


def numbered_tiles(tiles: alt.Chart, numbers: alt.Chart, *, height: int) -> alt.LayerChart:
    """Return tiles with numbers on them as one chart; the numbers' colours are not those of the tiles' scale."""
    chart: alt.LayerChart = cast(Any, layered(tiles, numbers, height=height)).resolve_scale(color="independent")
    return chart
