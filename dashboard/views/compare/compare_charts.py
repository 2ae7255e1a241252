"""The charts of the compare page: maps on one colour scale, and the phases of several sweeps on one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt

from compute.statistics.estimate import Estimate
from dashboard.charts.axes import Row, inline_data, layered, numbered_tiles, step_axis
from dashboard.charts.color_scale import ColorScale
from dashboard.theme.palette import Palette
from dashboard.words.component_labels import ablated_label
from dashboard.words.formatting import interval_text, number_text, window_label
from store.records import Ablation, Components

_ROW_HEIGHT = 18  # pixels
_AXIS_HEIGHT = 96  # pixels of axis and legend, part of a chart's height
_LABEL_WIDTH = 150
_MAX_NUMBERED_WINDOWS = 8  # with more windows the cells of three maps side by side are too narrow for numbers
_PHASE_ROW = 34
_LEGEND_ROW = 18


@dataclass(frozen=True, kw_only=True)
class MapCell:
    """A cell of a map: an ablation's number, with what is known of its uncertainty in words."""

    ablation: Ablation
    value: float
    details: str


@dataclass(frozen=True, kw_only=True)
class PhaseMark:
    """One sweep's place of one kind of evidence, in steps or as a share of its run."""

    sweep: str
    evidence: str
    place: Estimate


def small_map(
    cells: Sequence[MapCell], components: Sequence[Components], steps: int, colors: ColorScale, title: str
) -> alt.LayerChart:
    """Return a map of components, in network order, by windows; `title` names its numbers."""
    rows = [_cell_row(cell, colors) for cell in cells]
    numbered = len({(row["start"], row["stop"]) for row in rows}) <= _MAX_NUMBERED_WINDOWS
    names = list(dict.fromkeys(ablated_label(names).full for names in components))
    axis = alt.Axis(title=None, domain=False, ticks=False, labelLimit=_LABEL_WIDTH, labelOverlap=False)
    y = alt.Y("component:N", scale=alt.Scale(domain=names, paddingInner=0, paddingOuter=0), axis=axis)
    channel = step_axis(steps, max_labels=8)
    channel["axis"].orient = "top"
    channel["axis"].title = "Sampling step"
    x = alt.X("start:Q", **channel)
    legend = alt.Legend(title=title, orient="top", gradientLength=150, titleLimit=300, tickCount=3)
    tooltip = [
        alt.Tooltip(f"{field}:N", title=text)
        for field, text in {"component": "Component", "window": "Window", "text": title, "details": "Details"}.items()
    ]
    base = alt.Chart(inline_data(rows))
    tiles = base.mark_rect(stroke=colors.palette.paper, strokeWidth=1, cornerRadius=2).encode(
        x=x, x2="stop:Q", y=y, color=alt.Color("value:Q", scale=colors.vega, legend=legend), tooltip=tooltip
    )
    height = _ROW_HEIGHT * len(names) + _AXIS_HEIGHT
    if not numbered:
        return layered(tiles, height=height)
    ink = alt.Color("ink:N", scale=None)
    numbers = base.mark_text(fontSize=10).encode(x=alt.X("middle:Q"), y=y, text="text:N", color=ink)
    return numbered_tiles(tiles, numbers, height=height)


def _cell_row(cell: MapCell, colors: ColorScale) -> Row:
    window = cell.ablation.window
    return {
        "component": ablated_label(cell.ablation.components).full,
        "window": window_label(window),
        "start": window.start,
        "stop": window.stop,
        "middle": (window.start + window.stop) / 2,
        "value": cell.value,
        "text": number_text(cell.value),
        "details": cell.details,
        "ink": "#000000" if colors.needs_dark_text(cell.value) else "#FFFFFF",
    }


def phases_chart(
    marks: Sequence[PhaseMark], sweeps: Sequence[str], steps: int | None, palette: Palette
) -> alt.LayerChart:
    """Return where each sweep's phases turn, by each kind of evidence, on one axis.

    The axis has `steps`; None, for runs of different lengths, makes it the share of the run.
    """
    rows: list[Row] = [
        {
            "sweep": mark.sweep,
            "evidence": mark.evidence,
            "mean": mark.place.mean,
            "low": mark.place.low,
            "high": mark.place.high,
            "text": _place_text(mark.place.mean, steps),
            "interval": interval_text(mark.place.low, mark.place.high),
        }
        for mark in marks
    ]
    kinds = list(dict.fromkeys(mark.evidence for mark in marks))
    colors = [palette.accent, palette.first, palette.second, palette.muted][: len(kinds)]
    legend = alt.Legend(orient="top", title=None, symbolOpacity=1, columns=1)  # below each other: a phone is narrow
    color = alt.Color("evidence:N", sort=kinds, scale=alt.Scale(domain=kinds, range=colors), legend=legend)
    shapes = ["diamond", "circle", "triangle-up", "square"][: len(kinds)]
    shape = alt.Shape("evidence:N", sort=kinds, scale=alt.Scale(domain=kinds, range=shapes), legend=legend)
    y = alt.Y("sweep:N", sort=list(sweeps), scale=alt.Scale(domain=list(sweeps)), axis=_sweep_axis())
    offset = alt.YOffset("evidence:N", sort=kinds, scale=alt.Scale(domain=kinds))
    if steps is None:
        axis = alt.Axis(title="Share of the run", format=".0%", grid=True, tickCount=6)
        x = alt.X("low:Q", scale=alt.Scale(domain=[0, 1]), axis=axis)
    else:
        channel = step_axis(steps)
        channel["axis"].grid = True
        x = alt.X("low:Q", **channel)
    base = alt.Chart(inline_data(rows)).encode(y=y, yOffset=offset, color=color)
    spans = base.mark_rule(strokeWidth=3, opacity=0.45).encode(x=x, x2="high:Q")
    tooltip = [
        alt.Tooltip("sweep:N", title="Sweep"),
        alt.Tooltip("evidence:N", title="Evidence"),
        alt.Tooltip("text:N", title="Turns at"),
        alt.Tooltip("interval:N", title="95% interval"),
    ]
    points = base.mark_point(filled=True, size=90, opacity=1).encode(x="mean:Q", shape=shape, tooltip=tooltip)
    return layered(spans, points, height=_PHASE_ROW * len(sweeps) + _AXIS_HEIGHT + _LEGEND_ROW * len(kinds))


def _sweep_axis() -> alt.Axis:
    return alt.Axis(title=None, domain=False, ticks=False, labelLimit=_LABEL_WIDTH)


def _place_text(mean: float, steps: int | None) -> str:
    return f"{mean:.0%} of the run" if steps is None else f"step {mean:.1f} of {steps}"
