"""Rows for charts, and the step axis that they share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import altair as alt
import pandas as pd

Row = dict[str, Any]
STEP_TITLE = "Sampling step (0 is the noisiest)"
_NICE = (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000)
_LABELS = 26


def inline(rows: Sequence[Row]) -> alt.Data:
    """Rows as a chart's own data."""
    return cast(alt.Data, cast(Any, alt.Data)(values=tuple(rows)))


def framed(rows: Sequence[Row]) -> pd.DataFrame:
    """The same for thousands of rows: as a table, which is sent in binary form and not checked row by row."""
    return pd.DataFrame(list(rows))


def step_ticks(steps: int, labels: int = _LABELS) -> list[int]:
    """The steps that an axis names, the end of the last one included: each while there is room, else every few."""
    every = next((every for every in _NICE if steps / every < labels), max(1, steps // labels))
    return list(range(0, steps + 1, every))


def step_axis(steps: int, *, labels: int = _LABELS) -> dict[str, Any]:
    """Scale and axis over steps, as keywords of an x channel: step s takes up [s, s + 1)."""
    return {
        "scale": alt.Scale(domain=[0, steps], nice=False, zero=False),
        "axis": alt.Axis(title=STEP_TITLE, values=step_ticks(steps, labels), grid=False, format="d", tickSize=4),
    }


def limits(values: Sequence[float], *, margin: float = 0.04) -> alt.Scale:
    """A scale that holds some values. Said outright, because data reach the browser's chart only after its scales."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    if low == high:
        return alt.Scale(domain=[low - 0.5, high + 0.5], nice=False, zero=False)
    spare = (high - low) * margin
    return alt.Scale(
        domain=[low - spare if low not in (0.0, 1.0) else low, high + spare if high not in (0.0, 1.0) else high],
        nice=False,
        zero=False,
    )


def layered(*layers: alt.Chart, height: int) -> alt.LayerChart:
    """Layers of charts, the first at the back, of a height in pixels."""
    chart: alt.LayerChart = cast(Any, alt.layer(*layers)).properties(height=height)
    return chart
