"""The charts of the analyses page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
from jaxtyping import Float

from compute.analysis.impact.fragile_prompts import PromptMatrix
from compute.analysis.impact.observed_change import ObservedChange
from compute.analysis.trajectories.curvature import Curvature
from dashboard.charts.axes import STEP_TITLE, Row, fixed_scale, inline_data, layered, numbered_tiles, step_axis
from dashboard.charts.color_scale import ColorScale
from dashboard.theme.palette import Palette, kind_scale, shape_scale
from dashboard.words.component_labels import ablated_label
from dashboard.words.formatting import condition_label, number_text, window_label
from store.records import Window

_HEIGHT = 300
_CURVES = 6  # of a spectrum
_MATRIX_STEPS = 60  # at most as many rows; of more kept steps every n-th is shown
_LABEL_WIDTH = 150  # pixels: what a phone has room for
_LABEL_CHARACTERS = 60
_ROW_HEIGHT = 26
_PROMPT_AXES = 116  # pixels of axes and legend, part of a chart's height


def similarity_chart(
    similarity: Float[np.ndarray, "steps steps"], steps: Sequence[int], palette: Palette
) -> alt.LayerChart:
    """Return the cosine of each pair of steps as a matrix; darker (in the dark theme brighter) is less alike."""
    every = -(-len(steps) // _MATRIX_STEPS)
    places = range(0, len(steps), every)
    low = float(similarity.min())
    rows: list[Row] = [
        {"one": str(steps[a]), "other": str(steps[b]), "cosine": round(float(similarity[a, b]), 4)}
        for a in places
        for b in places
    ]
    names = [str(steps[place]) for place in places]
    shown = [name for place, name in enumerate(names) if place % (1 + len(names) // 16) == 0]
    axis: dict[str, Any] = {"values": shown, "domain": False, "ticks": False, "labelAngle": 0}
    scale = alt.Scale(domain=names, paddingInner=0, paddingOuter=0)
    # The scale of colours runs from unlike to alike, over what occurs.
    colors = alt.Scale(domain=[min(low, 0.999), 1.0], range=list(palette.heat)[::-1], interpolate="rgb")
    legend = alt.Legend(title="Cosine", orient="top", gradientLength=160, tickCount=4)
    tiles = (
        alt.Chart(inline_data(rows))
        .mark_rect()
        .encode(
            x=alt.X("other:N", sort=None, scale=scale, axis=alt.Axis(title=STEP_TITLE, **axis)),
            y=alt.Y("one:N", sort=None, scale=scale, axis=alt.Axis(title="Sampling step", **axis)),
            color=alt.Color("cosine:Q", scale=colors, legend=legend),
            tooltip=[
                alt.Tooltip("one:N", title="Step"),
                alt.Tooltip("other:N", title="and step"),
                alt.Tooltip("cosine:Q", title="Cosine", format=".3f"),
            ],
        )
    )
    return layered(tiles, height=_HEIGHT + 60)


def spectrum_chart(
    spectrum: Float[np.ndarray, "steps frequencies"], steps: Sequence[int], side: int, palette: Palette
) -> alt.LayerChart:
    """Return the power at each spatial frequency up to Nyquist's, of a few steps; the picture's mean is left out."""
    places = sorted({round(place) for place in np.linspace(0, len(steps) - 1, min(_CURVES, len(steps)))})
    last = max(1, min(side // 2, spectrum.shape[1] - 1))
    floor = max(float(spectrum.max()), 1e-12) * 1e-8
    rows: list[Row] = [
        {"step": f"Step {steps[place]}", "frequency": k, "power": max(float(spectrum[place, k]), floor)}
        for place in places
        for k in range(1, last + 1)
    ]
    names = [f"Step {steps[place]}" for place in places]
    ramp = palette.heat[3:-1]
    colors = [ramp[round(i * (len(ramp) - 1) / max(len(names) - 1, 1))] for i in range(len(names))]
    color = alt.Color(
        "step:N",
        sort=names,
        scale=alt.Scale(domain=names, range=colors),
        legend=alt.Legend(title=None, orient="top", columns=3, symbolOpacity=1),
    )
    x = alt.X(
        "frequency:Q",
        scale=alt.Scale(domain=[1, last], nice=False),
        axis=alt.Axis(title="Spatial frequency (cycles a side)", grid=False, tickMinStep=1),
    )
    scale = alt.Scale(type="log", domain=_log_domain([float(row["power"]) for row in rows]), nice=False)
    y = alt.Y("power:Q", scale=scale, axis=alt.Axis(title="Power (log scale)", format=".0e", tickCount=6))
    base = alt.Chart(inline_data(rows)).encode(x=x, y=y, color=color)
    tooltip = [
        alt.Tooltip("step:N", title="Prediction of"),
        alt.Tooltip("frequency:Q", title="Cycles a side"),
        alt.Tooltip("power:Q", title="Power", format=".3e"),
    ]
    return layered(
        base.mark_line(strokeWidth=2), base.mark_point(size=120, opacity=0).encode(tooltip=tooltip), height=_HEIGHT
    )


def _log_domain(values: Sequence[float]) -> list[float]:
    """The ends of a logarithmic scale, fixed for the reason that `fixed_scale` gives."""
    return [min(values) / 1.5, max(values) * 1.5]


def curvature_chart(curvature: Curvature, schedule: Sequence[int], total: int, palette: Palette) -> alt.LayerChart:
    """Return how much the path bends at each step; triangles mark the steps of the schedule that it suggests."""
    rows: list[Row] = [
        {"step": step, "bend": float(bend), "angle": float(angle)}
        for step, bend, angle in zip(curvature.steps, curvature.bend, curvature.angles, strict=True)
    ]
    scale = fixed_scale([0.0, *(float(bend) for bend in curvature.bend)])
    x = alt.X("step:Q", **step_axis(total))
    y = alt.Y("bend:Q", scale=scale, axis=alt.Axis(title="Bend (÷ mean speed)", tickCount=5))
    base = alt.Chart(inline_data(rows)).encode(x=x, y=y)
    tooltip = [
        alt.Tooltip("step:Q", title="Step", format="d"),
        alt.Tooltip("bend:Q", title="Bend", format=".3f"),
        alt.Tooltip("angle:Q", title="Turns by (degrees)", format=".1f"),
    ]
    marks = (
        alt.Chart(inline_data([{"step": step, "what": f"Step {step} of the suggested schedule"} for step in schedule]))
        .mark_point(shape="triangle-up", filled=True, size=80, opacity=1, color=palette.second)
        .encode(x=x, y=alt.value(alt.ExprRef("height - 6")), tooltip=[alt.Tooltip("what:N", title="Mark")])
    )
    line = base.mark_line(strokeWidth=2, color=palette.accent)
    return layered(line, base.mark_point(size=160, opacity=0).encode(tooltip=tooltip), marks, height=_HEIGHT - 60)


def observed_chart(change: ObservedChange, damage_title: str, palette: Palette) -> alt.LayerChart:
    """Return a point for each ablation: the change that it makes at once against the damage at the end."""
    rows: list[Row] = []
    for ablation, observed, causal, gap in zip(
        change.ablations, change.observed, change.causal, change.rank_gaps, strict=True
    ):
        label = ablated_label(ablation.ablation.components)
        rows.append(
            {
                "component": label.full,
                "kind": label.kind_label,
                "observed": observed,
                "causal": causal,
                "gap": f"{abs(gap):.0%} of the ranks, {'observed' if gap > 0 else 'caused'} is more",
            }
        )
    kinds = list(dict.fromkeys(str(row["kind"]) for row in rows))
    legend = alt.Legend(title=None, orient="top", columns=3, values=kinds, symbolOpacity=1)
    floor = {name: _sqrt_scale([float(row[name]) for row in rows]) for name in ("observed", "causal")}
    x_title = "Observed: change of the prediction"
    points = (
        alt.Chart(inline_data(rows))
        .mark_point(filled=True, size=90, opacity=0.9)
        .encode(
            x=alt.X("observed:Q", scale=floor["observed"], axis=alt.Axis(title=x_title, tickCount=6)),
            y=alt.Y("causal:Q", scale=floor["causal"], axis=alt.Axis(title=f"Causal: {damage_title}", tickCount=6)),
            color=alt.Color("kind:N", scale=kind_scale(palette), legend=legend),
            shape=alt.Shape("kind:N", scale=shape_scale(), legend=legend),
            tooltip=[
                alt.Tooltip("component:N", title="Component"),
                alt.Tooltip("kind:N", title="Kind"),
                alt.Tooltip("observed:Q", title="Observed", format=".3f"),
                alt.Tooltip("causal:Q", title=damage_title, format=".3f"),
                alt.Tooltip("gap:N", title="Ranks apart"),
            ],
        )
    )
    return layered(points, height=_HEIGHT + 40)


def _sqrt_scale(values: Sequence[float]) -> alt.Scale:
    return alt.Scale(type="sqrt", domain=[0, max([*values, 1e-6]) * 1.05], nice=False)


def prompt_chart(matrix: PromptMatrix, colors: ColorScale, title: str) -> alt.LayerChart:
    """Return a row for each condition, the most fragile at the top, and a column for each window."""
    names = [_row_name(number, condition_label(c)) for number, c in enumerate(matrix.conditions, start=1)]
    rows: list[Row] = [
        {
            "condition": names[row],
            "whole": condition_label(matrix.conditions[row])[:400],
            "window": _columns_name(window),
            "steps": window_label(window),
            "value": float(matrix.values[row, column]),
            "text": number_text(float(matrix.values[row, column])),
            "ink": "#000000" if colors.needs_dark_text(float(matrix.values[row, column])) else "#FFFFFF",
        }
        for row in range(len(names))
        for column, window in enumerate(matrix.windows)
        if np.isfinite(matrix.values[row, column])
    ]
    windows = [_columns_name(window) for window in matrix.windows]
    x = alt.X(
        "window:N",
        sort=None,
        scale=alt.Scale(domain=windows, paddingInner=0, paddingOuter=0),
        axis=alt.Axis(title="Window of steps", orient="top", domain=False, ticks=False, labelAngle=0),
    )
    y = alt.Y(
        "condition:N",
        sort=None,
        scale=alt.Scale(domain=names, paddingInner=0, paddingOuter=0),
        axis=alt.Axis(title=None, domain=False, ticks=False, labelLimit=_LABEL_WIDTH),
    )
    legend = alt.Legend(title=f"Mean {title.lower()}", orient="top", gradientLength=120, tickCount=3)
    tooltip = [
        alt.Tooltip("whole:N", title="Condition"),
        alt.Tooltip("steps:N", title="Window"),
        alt.Tooltip("text:N", title=f"Mean {title.lower()}"),
    ]
    base = alt.Chart(inline_data(rows)).encode(x=x, y=y)
    tiles = base.mark_rect(stroke=colors.palette.paper, strokeWidth=1.5, cornerRadius=2).encode(
        color=alt.Color("value:Q", scale=colors.vega, legend=legend), tooltip=tooltip
    )
    texts = base.mark_text(fontSize=11).encode(text="text:N", color=alt.Color("ink:N", scale=None))
    return numbered_tiles(tiles, texts, height=_ROW_HEIGHT * len(names) + _PROMPT_AXES)


def _columns_name(window: Window) -> str:
    return f"{window.start}–{window.stop - 1}" if window.stop - window.start > 1 else str(window.start)


def _row_name(number: int, label: str) -> str:
    """A label that is no other condition's, though labels are cut."""
    text = label if len(label) <= _LABEL_CHARACTERS else f"{label[:_LABEL_CHARACTERS]}…"
    return f"{number}. {text}"
