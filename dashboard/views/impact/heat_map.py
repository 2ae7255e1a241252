"""The map of impact: a row for each component, a column for each window."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any, cast

import altair as alt
import pandas as pd

from dashboard.charts.axes import Row, inline_data, layered, step_axis
from dashboard.charts.color_scale import ColorScale
from dashboard.data.impact_cells import Cell, MissingCell
from dashboard.theme.palette import Palette, kind_scale, shape_scale
from dashboard.words.action_labels import action_label, action_token
from dashboard.words.component_labels import ablated_label
from dashboard.words.formatting import interval_text, number_text, window_label
from store.records import Ablation, Components

PICKED = "picked"
_ROW_HEIGHT = 16  # pixels
_AXIS_HEIGHT = 104  # pixels of axis and legends, part of a chart's height
_DARK_TEXT, _LIGHT_TEXT = "#000000", "#FFFFFF"
_HEADING = "§"  # the first character of a row that is a group's heading
_LETTER_WIDTH = 6.3  # pixels of a letter of an axis label, rounded up
_STRIPES = 14  # of a hatched cell
_MAX_NUMBERED_WINDOWS = 26  # with more windows the cells are too narrow for numbers


def heat_map(
    cells: Sequence[Cell],
    components: Sequence[Components],
    steps: int,
    colors: ColorScale,
    title: str,
    missing: Sequence[MissingCell] = (),
    outlined: Sequence[Ablation] = (),
) -> alt.LayerChart:
    """Return the map of cells; a click selects one under the name PICKED.

    `components` are the rows, in network order; one without a cell has an empty row. `title` names the cells' numbers.
    `missing` ones are hatched, and those that failed crossed. Cells of the `outlined` ablations have a frame.
    """
    palette = colors.palette
    rows, labels, width = _rows(components)
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
            labelFontWeight=_if_heading(600, 400),
            labelColor=_if_heading(palette.ink, palette.muted),
            labelOverlap=False,
        ),
    )
    numbered = len({cell.ablation.window for cell in cells}) <= _MAX_NUMBERED_WINDOWS
    # A data frame is sent in binary form and not validated row by row, which matters for thousands of cells.
    frames = set(outlined)
    rows_of_data = [
        _cell_row(cell, colors if numbered else None, bool(frames) and cell.ablation in frames) for cell in cells
    ]
    data = pd.DataFrame(sorted(rows_of_data, key=lambda row: bool(row["outlined"])))  # frames over their neighbours
    layers: list[alt.Chart] = [_tiles(data, y, steps, colors, title), _kind_marks(components, y, palette)]
    if numbered:
        layers.append(_numbers(data, y))
    layers += _missing_tiles(missing, y, steps, palette)
    chart: alt.LayerChart = cast(Any, layered(*layers, height=_ROW_HEIGHT * len(rows) + _AXIS_HEIGHT)).resolve_scale(
        color="independent", shape="independent"
    )
    return chart


def _tiles(data: pd.DataFrame, y: alt.Y, steps: int, colors: ColorScale, title: str) -> alt.Chart:
    legend = alt.Legend(
        title=title,
        orient="top",
        direction="horizontal",
        gradientLength=220,
        titleLimit=400,
        tickCount=5,
        offset=14,
    )
    pick = alt.selection_point(name=PICKED, fields=["path", "action", "start", "stop"], on="click", empty=False)
    return (
        alt.Chart(data)
        .mark_rect(cursor="pointer", cornerRadius=2)
        .encode(
            stroke=alt.condition("datum.outlined", alt.value(colors.palette.frame), alt.value(colors.palette.paper)),
            strokeWidth=alt.condition("datum.outlined", alt.value(2.5), alt.value(1.5)),
            x=alt.X("start:Q", **_steps_above(steps)),
            x2="stop:Q",
            y=y,
            color=alt.Color("mean:Q", scale=colors.vega, legend=legend),
            tooltip=_tooltip(title),
        )
        .add_params(pick)
    )


def _missing_tiles(missing: Sequence[MissingCell], y: alt.Y, steps: int, palette: Palette) -> list[alt.Chart]:
    """Hatched tiles for ablations without a finished run, with a cross on those that failed."""
    rows = [_missing_row(cell) for cell in missing]
    x = alt.X("start:Q", **_steps_above(steps))
    titles = {"component": "Component", "action_label": "Action", "window": "Window", "state": "State"}
    tooltip = [alt.Tooltip(f"{field}:N", title=text) for field, text in titles.items()]
    layers = []
    if rows:
        tiles = alt.Chart(inline_data(rows)).mark_rect(
            color=_hatch(palette), stroke=palette.paper, strokeWidth=1.5, cornerRadius=2
        )
        layers.append(tiles.encode(x=x, x2="stop:Q", y=y, tooltip=tooltip))
    if failed := [row for row in rows if row["failed"]]:
        crosses = (
            alt.Chart(inline_data(failed))
            .transform_calculate(middle="(datum.start + datum.stop) / 2")
            .mark_point(shape="cross", angle=45, filled=True, size=90, opacity=1, color=palette.ink)
        )
        layers.append(crosses.encode(x="middle:Q", y=y, tooltip=tooltip))
    return layers


def _hatch(palette: Palette) -> Any:
    """Diagonal stripes: Vega has no patterns, but a gradient whose colours change at once."""
    stripes = [palette.line if number % 2 else palette.paper for number in range(2 * _STRIPES)]
    ends = [(number / len(stripes), (number + 1) / len(stripes), color) for number, color in enumerate(stripes)]
    stops = [alt.GradientStop(color=color, offset=offset) for low, high, color in ends for offset in (low, high)]
    return cast(Any, alt.Gradient)(gradient="linear", stops=stops, x1=0, y1=0, x2=1.12, y2=0.13)


def _missing_row(cell: MissingCell) -> Row:
    label, failed = ablated_label(cell.ablation.components), cell.failure is not None
    return {
        "path": label.path,
        "component": label.full,
        "action_label": action_label(cell.ablation.action),
        "window": window_label(cell.ablation.window),
        "start": cell.ablation.window.start,
        "stop": cell.ablation.window.stop,
        "state": f"Failed: {cell.failure}" if failed else "Not run yet",
        "failed": failed,
    }


def _steps_above(steps: int) -> dict[str, Any]:
    """The step axis above the map, where it is seen first: a map can be taller than the window."""
    channel = step_axis(steps)
    channel["axis"].orient = "top"
    return channel


def _rows(components: Sequence[Components]) -> tuple[list[str], dict[str, str], int]:
    """Return the rows, with a heading before each group; their labels; and the labels' width in pixels."""
    rows: list[str] = []
    labels: dict[str, str] = {}
    for group, members in groupby(map(ablated_label, components), key=lambda label: label.group):
        heading = _HEADING + group
        rows.append(heading)
        labels[heading] = group
        for label in members:
            rows.append(label.path)
            labels[label.path] = label.short
    longest = max((len(text) for text in labels.values()), default=1)
    return rows, labels, int(longest * _LETTER_WIDTH) + 26


def _if_heading(then: Any, otherwise: Any) -> Any:
    test = f"substring(datum.value, 0, 1) === '{_HEADING}'"
    return {"condition": {"test": test, "value": then}, "value": otherwise}


def _cell_row(cell: Cell, colors: ColorScale | None, outlined: bool) -> Row:
    """Return a cell as a row of data; `colors` are needed if its number is shown."""
    dark_text = colors is None or colors.needs_dark_text(cell.mean)
    return {
        "path": cell.label.path,
        "component": cell.label.full,
        "kind": cell.label.kind_label,
        "action": action_token(cell.ablation.action),
        "action_label": action_label(cell.ablation.action),
        "window": window_label(cell.ablation.window),
        "start": cell.ablation.window.start,
        "stop": cell.ablation.window.stop,
        "mean": cell.mean,
        "outlined": outlined,
        "interval": cell_interval(cell),
        "text": number_text(cell.mean),
        "text_color": _DARK_TEXT if dark_text else _LIGHT_TEXT,
    }


def cell_interval(cell: Cell) -> str:
    """Return a cell's interval as text."""
    if cell.low is None or cell.high is None:
        return "one condition: none"
    return interval_text(cell.low, cell.high)


def _tooltip(title: str) -> list[alt.Tooltip]:
    titles = {
        "component": "Component",
        "kind": "Kind",
        "action_label": "Action",
        "window": "Window",
        "text": title,
        "interval": "95% interval",
        "path": "Module path",
    }
    return [alt.Tooltip(f"{field}:N", title=text) for field, text in titles.items()]


def _kind_marks(components: Sequence[Components], y: alt.Y, palette: Palette) -> alt.Chart:
    labels = [ablated_label(names) for names in components]
    rows = [{"path": label.path, "kind": label.kind_label} for label in labels]
    return (
        alt.Chart(inline_data(rows))
        .mark_point(filled=True, size=52, opacity=1)
        .encode(
            x=alt.value(-12),
            y=y,
            color=alt.Color("kind:N", scale=kind_scale(palette), legend=None),
            shape=alt.Shape("kind:N", scale=shape_scale(), legend=None),
            tooltip=[alt.Tooltip("kind:N", title="Kind")],
        )
    )


def _numbers(data: pd.DataFrame, y: alt.Y) -> alt.Chart:
    return (
        alt.Chart(data)
        .transform_calculate(middle="(datum.start + datum.stop) / 2")
        .mark_text(fontSize=11, cursor="pointer")
        .encode(x="middle:Q", y=y, text="text:N", color=alt.Color("text_color:N", scale=None), tooltip=alt.value(None))
    )
