"""Charts of the two phases, all over one step axis: their plots have the same left edge, domain and width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from compute.analysis.phases.phase_evidence import Phases, SwitchCurve
from compute.statistics.estimate import Estimate
from dashboard.charts.axes import STEP_TITLE, Row, inline
from dashboard.pages.phases.step_axis import StepAxis
from dashboard.theme.palette import Palette

OBSERVED_LABELS = {"low-pass": "Coarse shapes", "high-pass": "Fine detail"}
FIRST, OTHER = "Obeys the first prompt", "Obeys the other prompt"
SWITCH_TITLE = "Step from which the network reads the other prompt"
_LEFT = 56  # pixels for the labels of y: the same in every chart, so that the plots stand in line
_TILE = 84
_BELOW_TILE = 62  # pixels for the axis under a film strip


def ribbon(phases: Phases, palette: Palette) -> alt.LayerChart:
    """The axis itself with the two phases named on it; needs a boundary."""
    boundary = phases.boundary
    assert boundary is not None, "without a boundary there is nothing to name"
    axis = StepAxis(phases=phases, palette=palette, bare=True)
    start, end = -0.5, phases.steps + 0.5
    parts: list[Row] = [
        {"from": start, "to": boundary.mean, "phase": "Composition", "row": 0},
        {"from": boundary.mean, "to": end, "phase": "Denoising", "row": 0},
    ]
    colours = alt.Scale(domain=["Composition", "Denoising"], range=[palette.accent, palette.muted])
    tips = [alt.Tooltip("phase:N", title="Phase"), alt.Tooltip("from:Q", title="From step", format=".1f")]
    bars = (
        alt.Chart(inline(parts))
        .mark_bar(opacity=0.2, size=22)
        .encode(
            x=axis.x("from"),
            x2="to:Q",
            y=_blank_y(),
            color=alt.Color("phase:N", scale=colours, legend=None),
            tooltip=[*tips, alt.Tooltip("to:Q", title="To step", format=".1f")],
        )
    )
    names = [_name(axis, start, "COMPOSITION", "left", 10), _name(axis, end, "DENOISING", "right", -10)]
    return axis.chart([bars, *names], 34)


def observed_chart(phases: Phases, palette: Palette) -> alt.LayerChart:
    """How far coarse shapes and fine detail of the predicted picture are on their way to the final one."""
    axis = StepAxis(phases=phases, palette=palette)
    rows: list[Row] = []
    turns: list[Row] = []
    for curve in phases.observed:
        name = OBSERVED_LABELS[curve.part]
        rows += [_row(step, name, reached) for step, reached in zip(curve.steps, curve.reached, strict=True)]
        turns.append(_row(0, name, curve.change_point))
    names = [OBSERVED_LABELS[curve.part] for curve in phases.observed]
    dashes = alt.StrokeDash("name:N", scale=alt.Scale(domain=names, range=[[1, 0], [5, 3]]), legend=_legend("stroke"))
    colours = _colours(names, [palette.accent, palette.muted], _legend("stroke"))
    curves = _curves(axis, rows, _share(), colours, dashes)
    return axis.chart([*curves, *_turns(axis, turns, colours)], 220, "Share of the way to the final picture")


def causal_chart(curve: SwitchCurve, phases: Phases, palette: Palette) -> alt.LayerChart:
    """Which of two prompts the final picture obeys when the prompt is switched at a step."""
    axis = StepAxis(phases=phases, palette=palette, title=SWITCH_TITLE)
    rows: list[Row] = []
    for name, values in ((FIRST, curve.first), (OTHER, curve.other)):
        rows += [_row(step, name, value) for step, value in zip(curve.steps, values, strict=True)]
    shapes = alt.Shape("name:N", scale=alt.Scale(domain=[FIRST, OTHER], range=["circle", "diamond"]), legend=_legend())
    colours = _colours([FIRST, OTHER], [palette.first, palette.second], _legend())
    points = alt.Chart(inline(rows)).mark_point(filled=True, size=46, opacity=1)
    layers = [
        *_curves(axis, rows, _share(), colours),
        points.encode(x=axis.x("step"), y=_share(), color=colours, shape=shapes),
    ]
    if curve.boundary is not None and curve.boundary != phases.boundary:
        layers.append(_own_boundary(axis, curve.boundary))
    return axis.chart(layers, 230, "Share of pictures that obey a prompt")


def moved_chart(phases: Phases, palette: Palette) -> alt.LayerChart:
    """How much a switch of the prompt at each step still changes the picture, as damage."""
    axis = StepAxis(phases=phases, palette=palette, title=SWITCH_TITLE)
    rows = [_row(step, "Damage", damage) for step, damage in phases.moved]
    y = alt.Y("mean:Q", title=None, scale=alt.Scale(type="sqrt", zero=True), axis=_y_axis(format=".2~f"))
    colours = _colours(["Damage"], [palette.ink], None)
    layers = _curves(axis, rows, y, colours, form=".3f")
    if phases.settled is not None:
        layers += _turns(axis, [_row(0, "Damage", phases.settled)], colours)
    return axis.chart(layers, 150, "Damage that a switch does (square-root scale)")


def film_strip(frames: Sequence[tuple[int, str]], phases: Phases, palette: Palette) -> alt.LayerChart:
    """Pictures (step, data URL) that stand under their steps."""
    axis = StepAxis(phases=phases, palette=palette, title=STEP_TITLE)
    rows = [{"step": step, "url": url, "row": 0} for step, url in frames]
    gaps = [b - a for (a, _), (b, _) in zip(frames, frames[1:], strict=False)]
    room = 0.94 * min(gaps, default=phases.steps) / (phases.steps + 1)
    side = alt.ExprRef(f"min({_TILE}, {room:.5f} * width)")
    pictures = (
        alt.Chart(inline(rows))
        .mark_image(width=side, height=side)
        .encode(x=axis.x("step"), y=_blank_y(), url="url:N", tooltip=[alt.Tooltip("step:Q", title="Step", format="d")])
    )
    return axis.chart([pictures], _TILE + _BELOW_TILE)


def _row(step: int, name: str, value: Estimate) -> Row:
    return {"step": step, "name": name, "mean": value.mean, "low": value.low, "high": value.high}


def _y_axis(**shown: Any) -> alt.Axis:
    return alt.Axis(minExtent=_LEFT, maxExtent=_LEFT, domain=False, ticks=False, tickCount=5, **shown)


def _blank_y() -> alt.Y:
    """A single row that keeps the edge free which other charts fill with labels."""
    return alt.Y("row:Q", title=None, scale=alt.Scale(domain=[-1, 1]), axis=_y_axis(labels=False, grid=False))


def _share() -> alt.Y:
    return alt.Y("mean:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=_y_axis(format=".0%"))


def _legend(symbol: Any = alt.Undefined) -> alt.Legend:
    return alt.Legend(orient="top", title=None, offset=6, symbolType=symbol, symbolOpacity=1, symbolStrokeWidth=2)


def _colours(names: Sequence[str], colours: Sequence[str], legend: alt.Legend | None) -> alt.Color:
    return alt.Color(
        "name:N", scale=alt.Scale(domain=list(names), range=list(colours)), legend=legend, sort=list(names)
    )


def _tips(form: str, first: str = "Mean") -> list[alt.Tooltip]:
    numbers = {"mean": first, "low": "95% interval from", "high": "to"}
    return [alt.Tooltip(f"{field}:Q", title=title, format=form) for field, title in numbers.items()]


def _curves(
    axis: StepAxis,
    rows: list[Row],
    y: alt.Y,
    colours: alt.Color,
    dashes: alt.StrokeDash | None = None,
    form: str = ".1%",
) -> list[alt.Chart]:
    """Lines with the intervals as bands behind them."""
    base = alt.Chart(inline(rows))
    x = axis.x("step")
    lower = y.copy()
    lower.shorthand = "low:Q"
    bands = base.mark_area(opacity=0.16).encode(x=x, y=lower, y2="high:Q", color=colours)
    lines = base.mark_line(strokeWidth=2.25).encode(x=x, y=y, color=colours)
    lines = lines if dashes is None else lines.encode(strokeDash=dashes)
    about = [alt.Tooltip("step:Q", title="Step", format="d"), alt.Tooltip("name:N", title="Curve")]
    room_for_the_mouse = base.mark_point(size=260, opacity=0).encode(x=x, y=y, tooltip=[*about, *_tips(form)])
    return [bands, lines, room_for_the_mouse]


def _turns(axis: StepAxis, rows: list[Row], colours: alt.Color) -> list[alt.Chart]:
    """Marks at the foot of a chart: where a curve turns, with the interval as a bar."""
    base = alt.Chart(inline(rows))
    y = alt.value(alt.ExprRef("height - 7"))
    tips = [alt.Tooltip("name:N", title="Turns"), *_tips(".1f", "At step")]
    bar = base.mark_rule(strokeWidth=3, opacity=0.55).encode(x=axis.x("low"), x2="high:Q", y=y, color=colours)
    mark = base.mark_point(shape="triangle-up", filled=True, size=90, opacity=1)
    return [bar, mark.encode(x=axis.x("mean"), y=y, color=colours, tooltip=tips)]


def _own_boundary(axis: StepAxis, boundary: Estimate) -> alt.Chart:
    """The boundary that one evidence of several gives, beside the headline's."""
    base = alt.Chart(inline([_row(0, "Boundary by this evidence", boundary)]))
    tips = [alt.Tooltip("name:N", title="Mark"), *_tips(".1f", "At step")]
    return base.mark_rule(color=axis.palette.ink, strokeWidth=1.5).encode(x=axis.x("mean"), tooltip=tips)


def _name(axis: StepAxis, at: float, text: str, align: Any, shift: int) -> alt.Chart:
    base = alt.Chart(inline([{"at": at, "text": text, "row": 0}]))
    mark = base.mark_text(align=align, dx=shift, color=axis.palette.ink, fontSize=11, fontWeight=600, baseline="middle")
    return mark.encode(x=axis.x("at"), y=_blank_y(), text="text:N")
