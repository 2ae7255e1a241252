"""The chart of the mean impact of an ablation in each window."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from dashboard.charts.axes import Row, fixed_scale, inline_data, layered, step_axis
from dashboard.charts.window_means import window_tooltip
from dashboard.theme.palette import Palette

_HEIGHT = 230


def window_chart(rows: Sequence[Row], steps: int, title: str, palette: Palette) -> alt.LayerChart:
    """Return a chart with a line over each window at its mean, and the mean's interval as a band.

    `rows` are those of `window_row`; `title` names the mean.
    """
    base = alt.Chart(inline_data(rows))
    x = alt.X("start:Q", **step_axis(steps, max_labels=14))
    y_axis = alt.Axis(title=title, grid=True, tickCount=5)
    scale = fixed_scale([value for row in rows for value in (row["low"], row["high"], 0.0)])
    tooltip = window_tooltip(title)
    bands = base.mark_rect(color=palette.accent, opacity=0.16, cornerRadius=2).encode(
        x=x, x2="stop:Q", y=alt.Y("low:Q", scale=scale, axis=y_axis), y2="high:Q", tooltip=tooltip
    )
    lines = base.mark_rule(color=palette.accent, strokeWidth=3).encode(
        x=x, x2="stop:Q", y=alt.Y("mean:Q", scale=scale, axis=y_axis), tooltip=tooltip
    )
    return layered(bands, lines, height=_HEIGHT)
