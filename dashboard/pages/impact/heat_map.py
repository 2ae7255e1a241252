"""Charts of impact: the map of components and windows, the ranking, the curves of kinds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any, cast

import altair as alt
import pandas as pd

from dashboard.charts.axes import Row, framed, inline, layered, step_axis
from dashboard.data.impact_cells import Cell
from dashboard.pages.impact.color_scale import Shades
from dashboard.theme.palette import Palette, kind_scale, shape_scale
from dashboard.words.component_labels import (
    KIND_LABELS,
    ablated_label,
    action_label,
    action_token,
    number,
    window_label,
)
from store.records import Components

PICKED = "picked"
_ROW = 16
_AROUND = 112  # pixels of legends and axis, which a chart's height includes
_INKS = ("#FFFFFF", "#1B1F26")
_HEADING = "§"
_LETTER = 6.3  # pixels of a letter of axis labels, a little too many
_NUMBERS_UP_TO = 26  # windows: with more, there is no room for numbers in the cells


def heat_map(
    cells: Sequence[Cell], order: Sequence[Components], steps: int, shades: Shades, title: str
) -> alt.LayerChart:
    """Components in network order against windows to scale; a click picks a cell.

    `order` names every component to show; one without a cell keeps an empty row.
    """
    palette = shades.palette
    rows, labels, width = _rows(order)
    y = alt.Y(
        "path:N",
        scale=alt.Scale(domain=rows, paddingInner=0, paddingOuter=0),
        axis=alt.Axis(
            title=None,
            domain=False,
            ticks=False,
            labelAlign="left",
            labelPadding=width,
            labelLimit=width,
            labelExpr=f"({json.dumps(labels)})[datum.value]",
            labelFontWeight=_where_heading(600, 400),
            labelColor=_where_heading(palette.ink, palette.muted),
            labelOverlap=False,
        ),
    )
    numbered = len({cell.ablation.window for cell in cells}) <= _NUMBERS_UP_TO
    data = framed([_row(cell, shades if numbered else None) for cell in cells])
    pick = alt.selection_point(name=PICKED, fields=["path", "action", "start", "stop"], on="click", empty=False)
    tiles = (
        alt.Chart(data)
        .mark_rect(stroke=palette.paper, strokeWidth=1.5, cursor="pointer", cornerRadius=2)
        .encode(
            x=alt.X("start:Q", **step_axis(steps)),
            x2="stop:Q",
            y=y,
            color=alt.Color(
                "mean:Q",
                scale=shades.vega,
                legend=alt.Legend(
                    title=title,
                    orient="top",
                    direction="horizontal",
                    gradientLength=220,
                    titleLimit=400,
                    tickCount=5,
                    offset=14,
                ),
            ),
            tooltip=_tooltip(title),
        )
        .add_params(pick)
    )
    layers: list[alt.Chart] = [tiles, _kind_marks(order, y, palette)]
    if numbered:
        layers.append(_numbers(data, y))
    figure: alt.LayerChart = cast(Any, layered(*layers, height=_ROW * len(rows) + _AROUND)).resolve_scale(
        color="independent", shape="independent"
    )
    return figure


def _rows(order: Sequence[Components]) -> tuple[list[str], dict[str, str], int]:
    """The rows with a heading before each group, their texts, and the width of these in pixels."""
    rows: list[str] = []
    labels: dict[str, str] = {}
    for group, members in groupby(map(ablated_label, order), key=lambda label: label.group):
        heading = _HEADING + group
        rows.append(heading)
        labels[heading] = group
        for label in members:
            rows.append(label.path)
            labels[label.path] = label.short
    longest = max((len(text) for text in labels.values()), default=1)
    return rows, labels, int(longest * _LETTER) + 26


def _where_heading(then: Any, otherwise: Any) -> Any:
    test = f"substring(datum.value, 0, 1) === '{_HEADING}'"
    return {"condition": {"test": test, "value": then}, "value": otherwise}


def _row(cell: Cell, shades: Shades | None) -> Row:
    return {
        "path": cell.label.path,
        "component": cell.label.full,
        "kind": cell.label.kind_label,
        "action": action_token(cell.ablation.action),
        "what": action_label(cell.ablation.action),
        "window": window_label(cell.ablation.window),
        "start": cell.ablation.window.start,
        "stop": cell.ablation.window.stop,
        "mean": cell.mean,
        "interval": interval(cell),
        "text": number(cell.mean),
        "ink": _INKS[shades is None or shades.dark_ink(cell.mean)],
    }


def interval(cell: Cell) -> str:
    """A cell's interval in words."""
    return "one condition: none" if cell.low is None else f"{number(cell.low)} to {number(cell.high)}"


def _tooltip(title: str) -> list[alt.Tooltip]:
    named = {"component": "Component", "kind": "Kind", "what": "Action", "window": "Window", "text": title}
    return [
        *(alt.Tooltip(f"{field}:N", title=text) for field, text in named.items()),
        alt.Tooltip("interval:N", title="95% interval"),
        alt.Tooltip("path:N", title="Module path"),
    ]


def _kind_marks(order: Sequence[Components], y: alt.Y, palette: Palette) -> alt.Chart:
    found = [ablated_label(components) for components in order]
    rows = [{"path": label.path, "kind": label.kind_label} for label in found]
    present = [text for text in KIND_LABELS.values() if any(row["kind"] == text for row in rows)]
    legend = alt.Legend(  # beside the legend of colours, whose place it would otherwise touch
        title="Kind", orient="none", legendX=300, legendY=-58, direction="horizontal", values=present, columns=6
    )
    return (
        alt.Chart(inline(rows))
        .mark_point(filled=True, size=52, opacity=1)
        .encode(
            x=alt.value(-12),
            y=y,
            color=alt.Color("kind:N", scale=kind_scale(palette), legend=legend),
            shape=alt.Shape("kind:N", scale=shape_scale(), legend=legend),
            tooltip=[alt.Tooltip("kind:N", title="Kind")],
        )
    )


def _numbers(data: pd.DataFrame, y: alt.Y) -> alt.Chart:
    return (
        alt.Chart(data)
        .transform_calculate(middle="(datum.start + datum.stop) / 2")
        .mark_text(fontSize=11, cursor="pointer")
        .encode(x="middle:Q", y=y, text="text:N", color=alt.Color("ink:N", scale=None), tooltip=alt.value(None))
    )
