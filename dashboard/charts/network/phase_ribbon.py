"""The ribbon beneath the network: the steps, the phases among them, and the step that is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import altair as alt

from compute.statistics.estimate import Estimate
from dashboard.charts.axes import Row, inline_data, step_axis
from dashboard.theme.palette import Palette

RIBBON_HEIGHT = 34.0  # pixels
_TOP, _BOTTOM = 8.0, 26.0  # of the ribbon, from the end of the network


@dataclass(frozen=True, kw_only=True)
class Ribbon:
    """The steps of a run, and the boundary between its phases where it is known."""

    steps: int
    boundary: Estimate | None = None


def ribbon_layers(ribbon: Ribbon, top: float, y: Mapping[str, Any], palette: Palette, step: str) -> list[alt.Chart]:
    """Return the layers of the ribbon below `top`; `y` has the scale and the axis of the plane, `step` is the name of
    the chart's parameter."""
    axis = step_axis(ribbon.steps)
    x = alt.X("start:Q", **axis)
    y_of = {"y": alt.Y("top:Q", **y), "y2": "bottom:Q"}
    rows = _phases(ribbon, top)
    tooltip = [alt.Tooltip("phase:N", title="Phase"), alt.Tooltip("steps:N", title="Steps")]
    band = (
        alt.Chart(inline_data(rows))
        .mark_rect()
        .encode(x=x, x2="stop:Q", **y_of, color=alt.Color("fill:N", scale=None), tooltip=tooltip)
    )
    text = (
        alt.Chart(inline_data([row for row in rows if row["named"]]))
        .mark_text(color=palette.ink, fontSize=11, align="left", dx=5)
        .encode(x=x, y=alt.Y("middle:Q", **y), text="phase:N")
    )
    place = [{"top": top + _TOP - 4, "bottom": top + _BOTTOM + 4}]
    now = (
        alt.Chart(inline_data(place))
        .transform_calculate(start=step, stop=f"{step} + 1")
        .mark_rect(fillOpacity=0.18, fill=palette.accent, stroke=palette.accent, strokeWidth=2, cornerRadius=2)
        .encode(x=x, x2="stop:Q", **y_of, tooltip=alt.value(None))
    )
    return [band, text, now]


def _phases(ribbon: Ribbon, top: float) -> list[Row]:
    """Return the phases as rows; without a boundary, the run as one."""
    boundary, end = ribbon.boundary, float(ribbon.steps)
    spans: list[tuple[float, float, str, str]]
    if boundary is None:
        spans = [(0.0, end, "Boundary of the phases unknown", "#8884")]
    else:
        low, high = max(0.0, boundary.low), min(end, boundary.high)
        spans = [
            (0.0, low, "Composition", "#7B72D966"),
            (low, high, "Boundary (95% interval)", "#7B72D933"),
            (high, end, "Denoising", "#8882"),
        ]
    return [
        {
            "start": start,
            "stop": stop,
            "phase": phase,
            "fill": fill,
            "steps": f"{start:.3g} to {stop:.3g}",
            "named": phase != "Boundary (95% interval)" and stop - start > 0.18 * end,
            "top": top + _TOP,
            "bottom": top + _BOTTOM,
            "middle": top + (_TOP + _BOTTOM) / 2,
        }
        for start, stop, phase, fill in spans
        if stop > start
    ]
