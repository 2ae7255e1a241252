"""Curves of groups of components over the sampling steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt

from compute.analysis.impact.group_curves import GroupCurve
from dashboard.charts.axes import Row, inline, layered, limits, step_axis
from dashboard.theme.palette import SHAPES, Palette
from dashboard.words.component_labels import KIND_LABELS, number, window_label

_HEIGHT = 250


def group_curves(
    curves: Sequence[GroupCurve], names: Mapping[str, str], steps: int, title: str, palette: Palette
) -> alt.LayerChart:
    """The mean of each group in each window, drawn at its middle, with bands for the intervals.

    Kinds have the colours and shapes that they have everywhere, other groups a ramp from light to dark.
    """
    data = inline([row for curve in curves for row in _rows(curve, names[curve.group])])
    colours, shapes = _looks([names[curve.group] for curve in curves], palette)
    order = [names[curve.group] for curve in curves]
    legend = alt.Legend(
        title=None, orient="top", direction="horizontal", columns=3, values=order, labelLimit=200, symbolOpacity=1
    )
    x = alt.X("at:Q", **step_axis(steps, labels=14))
    scale = limits([value for curve in curves for one in curve.effect for value in (one.low, one.high, 0.0)])
    y_axis = alt.Axis(title=title, tickCount=5)
    colour = alt.Color("group:N", scale=alt.Scale(domain=order, range=colours), legend=legend)
    shape = alt.Shape("group:N", scale=alt.Scale(domain=order, range=shapes), legend=legend)
    base = alt.Chart(data).encode(x=x, color=colour)
    bands = base.mark_area(opacity=0.13).encode(y=alt.Y("low:Q", scale=scale, axis=y_axis), y2="high:Q")
    y = alt.Y("mean:Q", scale=scale, axis=y_axis)
    lines = base.mark_line(strokeWidth=2).encode(y=y)
    points = base.mark_point(filled=True, size=62, opacity=1).encode(y=y, shape=shape, tooltip=_tooltip(title))
    return layered(bands, lines, points, height=_HEIGHT)


def _rows(curve: GroupCurve, name: str) -> list[Row]:
    return [
        {
            "group": name,
            "at": (window.start + window.stop) / 2,
            "window": window_label(window),
            "mean": estimate.mean,
            "low": estimate.low,
            "high": estimate.high,
            "text": number(estimate.mean),
            "interval": f"{number(estimate.low)} to {number(estimate.high)}",
            "count": count,
        }
        for window, estimate, count in zip(curve.windows, curve.effect, curve.counts, strict=True)
    ]


def _tooltip(title: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("group:N", title="Group"),
        alt.Tooltip("window:N", title="Window"),
        alt.Tooltip("text:N", title=title),
        alt.Tooltip("interval:N", title="95% interval"),
        alt.Tooltip("count:Q", title="Ablations"),
    ]


def _looks(names: Sequence[str], palette: Palette) -> tuple[list[str], list[str]]:
    kinds = {label: kind for kind, label in KIND_LABELS.items()}
    ramp = palette.heat[3:-1]
    colours, shapes = [], []
    for place, name in enumerate(names):
        kind = kinds.get(name)
        at = round(place * (len(ramp) - 1) / max(len(names) - 1, 1))
        colours.append(palette.kinds[kind] if kind else ramp[at])
        shapes.append(SHAPES[kind] if kind else list(SHAPES.values())[place % len(SHAPES)])
    return colours, shapes
