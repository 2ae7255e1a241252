"""The charts of the phases page. All have the same step axis, and plots with the same left edge and width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from compute.analysis.phases.phase_evidence import Phases, SwitchCurve
from compute.statistics.estimate import Estimate
from dashboard.charts.axes import STEP_TITLE, Row, inline_data
from dashboard.theme.palette import Palette
from dashboard.views.phases.step_axis import StepAxis

_PART_LABELS = {"low-pass": "Coarse shapes", "high-pass": "Fine detail"}
_FIRST, _OTHER = "Obeys the first prompt", "Obeys the other prompt"
_SWITCH_TITLE = "Step from which the network reads the other prompt"
_LEFT_MARGIN = 56  # pixels for the labels of the y axis: the same in every chart, so that the plots are aligned
_FRAME = 84  # pixels of a film strip's picture
_FRAME_AXIS = 62  # pixels for the axis below a film strip


def phase_ribbon(phases: Phases, palette: Palette) -> alt.LayerChart:
    """Return the step axis with both phases named on it. Needs a boundary."""
    boundary = phases.boundary
    assert boundary is not None, "without a boundary there are no phases to name"
    axis = StepAxis(phases=phases, palette=palette, bare=True)
    start, end = -0.5, phases.steps + 0.5
    spans: list[Row] = [
        {"from": start, "to": boundary.mean, "phase": "Composition", "row": 0},
        {"from": boundary.mean, "to": end, "phase": "Denoising", "row": 0},
    ]
    colors = alt.Scale(domain=["Composition", "Denoising"], range=[palette.accent, palette.muted])
    bars = (
        alt.Chart(inline_data(spans))
        .mark_bar(opacity=0.2, size=22)
        .encode(
            x=axis.x("from"),
            x2="to:Q",
            y=_blank_y(),
            color=alt.Color("phase:N", scale=colors, legend=None),
            tooltip=[
                alt.Tooltip("phase:N", title="Phase"),
                alt.Tooltip("from:Q", title="From step", format=".1f"),
                alt.Tooltip("to:Q", title="To step", format=".1f"),
            ],
        )
    )
    names = [_ribbon_text(axis, start, "COMPOSITION", "left", 10), _ribbon_text(axis, end, "DENOISING", "right", -10)]
    return axis.chart([bars, *names], 34)


def observed_chart(phases: Phases, palette: Palette) -> alt.LayerChart:
    """Return how far coarse shapes and fine detail of the predicted picture have approached the final picture."""
    axis = StepAxis(phases=phases, palette=palette)
    rows: list[Row] = []
    change_points: list[Row] = []
    for curve in phases.observed:
        label = _PART_LABELS[curve.part]
        rows += [_row(step, label, share) for step, share in zip(curve.steps, curve.reached, strict=True)]
        change_points.append(_row(0, label, curve.change_point))
    labels = [_PART_LABELS[curve.part] for curve in phases.observed]
    dashes = alt.StrokeDash("name:N", scale=alt.Scale(domain=labels, range=[[1, 0], [5, 3]]), legend=_legend("stroke"))
    color = _color(labels, [palette.accent, palette.muted], _legend("stroke"))
    curves = _curves(axis, rows, _share_y(), color, dashes)
    return axis.chart([*curves, *_step_marks(axis, change_points, color)], 220, "Share of the way to the final picture")


def causal_chart(curve: SwitchCurve, phases: Phases, palette: Palette) -> alt.LayerChart:
    """Return which of two prompts the final pictures obey, by the step at which the prompt was switched."""
    axis = StepAxis(phases=phases, palette=palette, title=_SWITCH_TITLE)
    rows: list[Row] = []
    for label, shares in ((_FIRST, curve.first), (_OTHER, curve.other)):
        rows += [_row(step, label, share) for step, share in zip(curve.steps, shares, strict=True)]
    shape_scale = alt.Scale(domain=[_FIRST, _OTHER], range=["circle", "diamond"])
    color = _color([_FIRST, _OTHER], [palette.first, palette.second], _legend())
    points = (
        alt.Chart(inline_data(rows))
        .mark_point(filled=True, size=46, opacity=1)
        .encode(
            x=axis.x("step"), y=_share_y(), color=color, shape=alt.Shape("name:N", scale=shape_scale, legend=_legend())
        )
    )
    return axis.chart([*_curves(axis, rows, _share_y(), color), points], 230, "Share of pictures that obey a prompt")


def damage_chart(phases: Phases, palette: Palette) -> alt.LayerChart:
    """Return the damage of a prompt switch, by its step."""
    axis = StepAxis(phases=phases, palette=palette, title=_SWITCH_TITLE)
    rows = [_row(step, "Damage", damage) for step, damage in phases.moved]
    y = alt.Y("mean:Q", title=None, scale=alt.Scale(type="sqrt", zero=True), axis=_y_axis(format=".2~f"))
    color = _color(["Damage"], [palette.ink], None)
    layers = _curves(axis, rows, y, color, number_format=".3f")
    if phases.settled is not None:
        layers += _step_marks(axis, [_row(0, "Damage", phases.settled)], color)
    return axis.chart(layers, 150, "Damage of a prompt switch (square-root scale)")


def film_strip(frames: Sequence[tuple[int, str]], phases: Phases, palette: Palette) -> alt.LayerChart:
    """Return pictures, (step, `data:` address), above their steps."""
    axis = StepAxis(phases=phases, palette=palette, title=STEP_TITLE)
    rows = [{"step": step, "url": url, "row": 0} for step, url in frames]
    gaps = [b - a for (a, _), (b, _) in zip(frames, frames[1:], strict=False)]
    share_of_width = 0.94 * min(gaps, default=phases.steps) / (phases.steps + 1)
    side = alt.ExprRef(f"min({_FRAME}, {share_of_width:.5f} * width)")
    pictures = (
        alt.Chart(inline_data(rows))
        .mark_image(width=side, height=side)
        .encode(x=axis.x("step"), y=_blank_y(), url="url:N", tooltip=[alt.Tooltip("step:Q", title="Step", format="d")])
    )
    return axis.chart([pictures], _FRAME + _FRAME_AXIS)


def _row(step: int, name: str, value: Estimate) -> Row:
    return {"step": step, "name": name, "mean": value.mean, "low": value.low, "high": value.high}


def _y_axis(**properties: Any) -> alt.Axis:
    return alt.Axis(
        minExtent=_LEFT_MARGIN, maxExtent=_LEFT_MARGIN, domain=False, ticks=False, tickCount=5, **properties
    )


def _blank_y() -> alt.Y:
    """A y axis with a single row and no labels, but the same left margin as the others."""
    return alt.Y("row:Q", title=None, scale=alt.Scale(domain=[-1, 1]), axis=_y_axis(labels=False, grid=False))


def _share_y() -> alt.Y:
    return alt.Y("mean:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=_y_axis(format=".0%"))


def _legend(symbol: Any = alt.Undefined) -> alt.Legend:
    return alt.Legend(orient="top", title=None, offset=6, symbolType=symbol, symbolOpacity=1, symbolStrokeWidth=2)


def _color(names: Sequence[str], colors: Sequence[str], legend: alt.Legend | None) -> alt.Color:
    scale = alt.Scale(domain=list(names), range=list(colors))
    return alt.Color("name:N", scale=scale, legend=legend, sort=list(names))


def _tooltip(number_format: str, mean_title: str = "Mean") -> list[alt.Tooltip]:
    titles = {"mean": mean_title, "low": "95% interval from", "high": "to"}
    return [alt.Tooltip(f"{field}:Q", title=title, format=number_format) for field, title in titles.items()]


def _curves(
    axis: StepAxis,
    rows: list[Row],
    y: alt.Y,
    color: alt.Color,
    dashes: alt.StrokeDash | None = None,
    number_format: str = ".1%",
) -> list[alt.Chart]:
    """Lines, their intervals as bands behind them, and invisible points that are large enough to hover over."""
    base = alt.Chart(inline_data(rows))
    x = axis.x("step")
    lower = y.copy()
    lower.shorthand = "low:Q"
    bands = base.mark_area(opacity=0.16).encode(x=x, y=lower, y2="high:Q", color=color)
    lines = base.mark_line(strokeWidth=2.25).encode(x=x, y=y, color=color)
    lines = lines if dashes is None else lines.encode(strokeDash=dashes)
    tooltip = [
        alt.Tooltip("step:Q", title="Step", format="d"),
        alt.Tooltip("name:N", title="Curve"),
        *_tooltip(number_format),
    ]
    return [bands, lines, base.mark_point(size=260, opacity=0).encode(x=x, y=y, tooltip=tooltip)]


def _step_marks(axis: StepAxis, rows: list[Row], color: alt.Color) -> list[alt.Chart]:
    """Triangles at the bottom of a chart that mark a step of each curve, with its interval as a bar."""
    base = alt.Chart(inline_data(rows))
    y = alt.value(alt.ExprRef("height - 7"))
    bar = base.mark_rule(strokeWidth=3, opacity=0.55).encode(x=axis.x("low"), x2="high:Q", y=y, color=color)
    triangle = base.mark_point(shape="triangle-up", filled=True, size=90, opacity=1)
    tooltip = [alt.Tooltip("name:N", title="Mark"), *_tooltip(".1f", "At step")]
    return [bar, triangle.encode(x=axis.x("mean"), y=y, color=color, tooltip=tooltip)]


def _ribbon_text(axis: StepAxis, step: float, text: str, align: Any, shift: int) -> alt.Chart:
    base = alt.Chart(inline_data([{"at": step, "text": text, "row": 0}]))
    mark = base.mark_text(align=align, dx=shift, color=axis.palette.ink, fontSize=11, fontWeight=600, baseline="middle")
    return mark.encode(x=axis.x("at"), y=_blank_y(), text="text:N")
