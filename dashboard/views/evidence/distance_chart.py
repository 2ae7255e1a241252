"""The chart of the distance between two trajectories at each step."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from dashboard.charts.axes import STEP_TITLE, Row, fixed_scale, inline_data, layered, step_ticks
from dashboard.theme.palette import Palette
from dashboard.widgets.film_strip import LABEL_WIDTH
from store.records import Window

_HEIGHT = 132


def distance_chart(
    steps: Sequence[int],
    distances: Sequence[float],
    title: str,
    columns: int,
    window: Window,
    current: int,
    palette: Palette,
    *,
    with_axis: bool,
) -> alt.LayerChart:
    """Return the chart of one distance a step, aligned with film strips of `columns` pictures.

    Step s is shown in the middle of [s, s + 1). The window is shaded; a line marks the current step. Of several charts
    below each other the last one has the axis's labels: `with_axis`.
    """
    rows: list[Row] = [
        {"step": step, "middle": step + 0.5, "value": value} for step, value in zip(steps, distances, strict=True)
    ]
    axis = alt.Axis(
        title=STEP_TITLE if with_axis else None,
        values=[step + 0.5 for step in step_ticks(columns - 1)],
        labelExpr="format(floor(datum.value), 'd')",
        labels=with_axis,
        ticks=with_axis,
        grid=False,
    )
    x = alt.X("middle:Q", scale=alt.Scale(domain=[0, columns], nice=False), axis=axis)
    y = alt.Y(
        "value:Q",
        scale=fixed_scale([row["value"] for row in rows], margin=0.08),
        axis=alt.Axis(title=None, tickCount=3, minExtent=LABEL_WIDTH, maxExtent=LABEL_WIDTH),
    )
    shade = (
        alt.Chart(inline_data([{"from": window.start, "to": window.stop}]))
        .mark_rect(color=palette.shade)
        .encode(x=alt.X("from:Q", axis=axis), x2="to:Q")
    )
    rule = alt.Chart(inline_data([{"middle": current + 0.5}])).mark_rule(color=palette.accent, strokeWidth=1.5)
    tooltip = [alt.Tooltip("step:Q", title="Step"), alt.Tooltip("value:Q", title=title, format=".4f")]
    line = (
        alt.Chart(inline_data(rows))
        .mark_line(color=palette.first, strokeWidth=2, point=alt.OverlayMarkDef(size=34, color=palette.first))
        .encode(x=x, y=y, tooltip=tooltip)
    )
    chart = layered(shade, rule.encode(x=x), line, height=_HEIGHT)
    return chart.properties(title=alt.Title(title, offset=6), padding={"left": 0, "right": 0, "top": 4, "bottom": 4})
