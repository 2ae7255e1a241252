"""The mean impact of groups of components over the sampling steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt

from compute.analysis.impact.group_curves import GroupCurve
from dashboard.charts.axes import fixed_scale, inline_data, layered, step_axis
from dashboard.charts.window_means import window_row, window_tooltip
from dashboard.theme.palette import SHAPES, Palette
from dashboard.words.component_labels import KIND_LABELS

_HEIGHT = 250


def group_chart(
    curves: Sequence[GroupCurve], labels: Mapping[str, str], steps: int, title: str, palette: Palette
) -> alt.LayerChart:
    """Return the chart of each group's mean in each window, at the window's middle, with its interval as a band.

    `labels` has the label of each group. Kinds have their own colours and shapes; other groups have colours of the heat
    scale.
    """
    data = inline_data(
        [
            {"group": labels[curve.group], **window_row(window, mean, count)}
            for curve in curves
            for window, mean, count in zip(curve.windows, curve.effect, curve.counts, strict=True)
        ]
    )
    order = [labels[curve.group] for curve in curves]
    colors, shapes = _colors_and_shapes(order, palette)
    legend = alt.Legend(
        title=None, orient="top", direction="horizontal", columns=3, values=order, labelLimit=200, symbolOpacity=1
    )
    x = alt.X("middle:Q", **step_axis(steps, max_labels=14))
    scale = fixed_scale([value for curve in curves for mean in curve.effect for value in (mean.low, mean.high, 0.0)])
    y_axis = alt.Axis(title=title, tickCount=5)
    color = alt.Color("group:N", scale=alt.Scale(domain=order, range=colors), legend=legend)
    shape = alt.Shape("group:N", scale=alt.Scale(domain=order, range=shapes), legend=legend)
    base = alt.Chart(data).encode(x=x, color=color)
    bands = base.mark_area(opacity=0.13).encode(y=alt.Y("low:Q", scale=scale, axis=y_axis), y2="high:Q")
    y = alt.Y("mean:Q", scale=scale, axis=y_axis)
    lines = base.mark_line(strokeWidth=2).encode(y=y)
    tooltip = [alt.Tooltip("group:N", title="Group"), *window_tooltip(title)]
    points = base.mark_point(filled=True, size=62, opacity=1).encode(y=y, shape=shape, tooltip=tooltip)
    return layered(bands, lines, points, height=_HEIGHT)


def _colors_and_shapes(labels: Sequence[str], palette: Palette) -> tuple[list[str], list[str]]:
    kinds = {label: kind for kind, label in KIND_LABELS.items()}
    ramp = palette.heat[3:-1]
    colors, shapes = [], []
    for place, label in enumerate(labels):
        kind = kinds.get(label)
        position = round(place * (len(ramp) - 1) / max(len(labels) - 1, 1))
        colors.append(palette.kinds[kind] if kind else ramp[position])
        shapes.append(SHAPES[kind] if kind else list(SHAPES.values())[place % len(SHAPES)])
    return colors, shapes
