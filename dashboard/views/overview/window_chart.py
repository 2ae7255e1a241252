"""The mean impact of an ablation in each window: over all components, and of each kind."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from compute.analysis.impact.ablation_impact import Impact
from compute.analysis.impact.group_curves import by_kind, mean_impact
from dashboard.charts.axes import Row, fixed_scale, inline_data, layered, step_axis
from dashboard.charts.group_chart import group_chart
from dashboard.charts.window_means import window_row, window_tooltip
from dashboard.theme.palette import Palette
from dashboard.words.component_labels import kind_label
from dashboard.words.metric_labels import scale_label

_HEIGHT = 230


def means_by_window(impact: Impact, steps: int, palette: Palette) -> alt.LayerChart:
    """Return the chart of the mean over all components that were removed in each window."""
    main = impact.only(windows=impact.main_windows)
    parts = [(window, main.only(windows=(window,))) for window in main.windows]
    rows = [window_row(window, mean_impact(part), len(part.ablations)) for window, part in parts]
    return window_chart(rows, steps, scale_label(impact), palette)


def means_by_kind(impact: Impact, steps: int, palette: Palette) -> alt.LayerChart:
    """Return the chart of the same for each kind of component."""
    curves = by_kind(impact.only(windows=impact.main_windows))
    labels = {curve.group: kind_label(curve.group) for curve in curves}
    return group_chart(curves, labels, steps, scale_label(impact), palette)


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
