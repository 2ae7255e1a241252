"""Charts of evidence: how far two trajectories are apart, step by step."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from dashboard.charts.axes import STEP_TITLE, Row, inline, layered, limits, step_ticks
from dashboard.theme.palette import Palette
from store.records import Window

LABELS = 72  # pixels left of the plot: those of the film strips' own labels
_HEIGHT = 132


def distance_curve(
    steps: Sequence[int],
    values: Sequence[float],
    title: str,
    columns: int,
    window: Window,
    at: int,
    palette: Palette,
    *,
    last: bool,
) -> alt.LayerChart:
    """One number a step over a film strip of `columns` pictures: step s stands in the middle of [s, s + 1).

    The window is shaded and the step `at` ruled; the `last` of several charts carries the axis' labels.
    """
    rows: list[Row] = [{"step": s, "at": s + 0.5, "value": v} for s, v in zip(steps, values, strict=True)]
    axis = alt.Axis(
        title=STEP_TITLE if last else None,
        values=[step + 0.5 for step in step_ticks(columns - 1)],
        labelExpr="format(floor(datum.value), 'd')",
        labels=last,
        ticks=last,
        grid=False,
    )
    x = alt.X("at:Q", scale=alt.Scale(domain=[0, columns], nice=False), axis=axis)
    y = alt.Y(
        "value:Q",
        scale=limits([row["value"] for row in rows], margin=0.08),
        axis=alt.Axis(title=None, tickCount=3, minExtent=LABELS, maxExtent=LABELS),
    )
    shade = (
        alt.Chart(inline([{"from": window.start, "to": window.stop}]))
        .mark_rect(color=palette.shade)
        .encode(x=alt.X("from:Q", axis=axis), x2="to:Q")
    )
    rule = alt.Chart(inline([{"at": at + 0.5}])).mark_rule(color=palette.accent, strokeWidth=1.5).encode(x=x)
    tooltip = [alt.Tooltip("step:Q", title="Step"), alt.Tooltip("value:Q", title=title, format=".4f")]
    line = (
        alt.Chart(inline(rows))
        .mark_line(color=palette.first, strokeWidth=2, point=alt.OverlayMarkDef(size=34, color=palette.first))
        .encode(x=x, y=y, tooltip=tooltip)
    )
    figure = layered(shade, rule, line, height=_HEIGHT)
    return figure.properties(title=alt.Title(title, offset=6), padding={"left": 0, "right": 0, "top": 4, "bottom": 4})
