"""The one chart of the Overview: the mean impact of an ablation in each window."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from compute.statistics.estimate import Estimate
from dashboard.charts.axes import Row, inline, layered, limits, step_axis
from dashboard.theme.palette import Palette
from dashboard.words.component_labels import number, window_label
from store.records import Window

_HEIGHT = 230


def mean_by_window(
    windows: Sequence[Window],
    means: Sequence[Estimate],
    counts: Sequence[int],
    steps: int,
    title: str,
    palette: Palette,
) -> alt.LayerChart:
    """A level over each window, with the interval of its mean as a band."""
    rows: list[Row] = [
        {
            "start": window.start,
            "stop": window.stop,
            "window": window_label(window),
            "mean": mean.mean,
            "low": mean.low,
            "high": mean.high,
            "text": number(mean.mean),
            "interval": f"{number(mean.low)} to {number(mean.high)}",
            "count": count,
        }
        for window, mean, count in zip(windows, means, counts, strict=True)
    ]
    tooltip = [
        alt.Tooltip("window:N", title="Window"),
        alt.Tooltip("text:N", title=title),
        alt.Tooltip("interval:N", title="95% interval"),
        alt.Tooltip("count:Q", title="Ablations"),
    ]
    base = alt.Chart(inline(rows))
    x = alt.X("start:Q", **step_axis(steps, labels=14))
    y_axis = alt.Axis(title=title, grid=True, tickCount=5)
    scale = limits([value for row in rows for value in (row["low"], row["high"], 0.0)])
    bands = base.mark_rect(color=palette.accent, opacity=0.16, cornerRadius=2).encode(
        x=x, x2="stop:Q", y=alt.Y("low:Q", scale=scale, axis=y_axis), y2="high:Q", tooltip=tooltip
    )
    levels = base.mark_rule(color=palette.accent, strokeWidth=3).encode(
        x=x, x2="stop:Q", y=alt.Y("mean:Q", scale=scale, axis=y_axis), tooltip=tooltip
    )
    return layered(bands, levels, height=_HEIGHT)
