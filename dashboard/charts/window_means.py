"""The mean impact of a window as a row of a chart's data, and its tooltip."""

from __future__ import annotations

import altair as alt

from compute.statistics.estimate import Estimate
from dashboard.charts.axes import Row
from dashboard.words.formatting import interval_text, number_text, window_label
from store.records import Window


def window_row(window: Window, mean: Estimate, ablations: int) -> Row:
    """Return the row of a window: the mean of so many ablations, with its interval."""
    return {
        "start": window.start,
        "stop": window.stop,
        "middle": (window.start + window.stop) / 2,
        "window": window_label(window),
        "mean": mean.mean,
        "low": mean.low,
        "high": mean.high,
        "text": number_text(mean.mean),
        "interval": interval_text(mean.low, mean.high),
        "count": ablations,
    }


def window_tooltip(title: str) -> list[alt.Tooltip]:
    """Return the tooltip of a window's row; `title` names the mean."""
    return [
        alt.Tooltip("window:N", title="Window"),
        alt.Tooltip("text:N", title=title),
        alt.Tooltip("interval:N", title="95% interval"),
        alt.Tooltip("count:Q", title="Ablations"),
    ]
