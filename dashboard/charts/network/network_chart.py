"""The chart of a network as a U, coloured by what holds of each part at a step that the reader moves in the browser.

The step is a parameter of the chart, so moving it asks nothing of the server. Data are spans: a tile, the steps for
which they hold, and whatever colour and tooltip need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import altair as alt

from compute.policy.graph import UNET
from dashboard.charts.axes import Row, inline_data
from dashboard.charts.network.folding import block_label
from dashboard.charts.network.layout import NetworkLayout, Tile, segments
from dashboard.charts.network.phase_ribbon import RIBBON_HEIGHT, Ribbon, ribbon_layers
from dashboard.theme.palette import SHAPES, Palette
from dashboard.words.component_labels import KIND_LABELS, ComponentLabel, component_label

STEP = "step"
PICKED = "picked_tile"
PICKED_FIELDS = ("tile", "path", "action", "start", "stop")
_LEGEND_HEIGHT, _AXIS_HEIGHT = 30, 34  # pixels, part of a chart's height
_SPAN = f"datum.begin <= {STEP} && {STEP} < datum.end"


@dataclass(frozen=True, kw_only=True)
class Coloring:
    """What colours the tiles: spans as rows with `tile`, `begin`, `end` (steps), and the fields of the rest.

    `path` of a row is the component that a click chooses; without it, it is the tile's own. `dark` is whether dark
    marks are more readable on the row's colour. `calculated` are expressions for further fields, of which `about` is
    the text for screen readers. `hatched` rows have no value yet.
    """

    rows: Sequence[Row]
    color: alt.Color
    tooltip: Sequence[alt.Tooltip]
    calculated: Mapping[str, str]
    hatched: Sequence[Row] = ()


@dataclass(frozen=True, kw_only=True)
class Plane:
    """Scales and axes of the drawing's plane, as keyword arguments of its channels."""

    x: Mapping[str, Any]
    y: Mapping[str, Any]

    def area(self, right: str = "right", bottom: str = "bottom") -> dict[str, Any]:
        """Return the channels of marks from (left, top) to the fields of these names."""
        return {
            "x": alt.X("left:Q", **self.x),
            "x2": f"{right}:Q",
            "y": alt.Y("top:Q", **self.y),
            "y2": f"{bottom}:Q",
        }


def network_chart(
    layout: NetworkLayout,
    coloring: Coloring,
    palette: Palette,
    *,
    steps: int,
    step: int,
    ribbon: Ribbon | None,
    picked: Row | None = None,
) -> alt.LayerChart:
    """Return the chart; a click on a coloured tile selects it under the name PICKED.

    With a ribbon, the reader moves the step from `step` on. `picked` is the selection at first.
    """
    height = layout.height + (RIBBON_HEIGHT if ribbon else 0)
    plane = Plane(
        x={"scale": alt.Scale(domain=[-0.5, layout.columns - 0.5], nice=False, zero=False), "axis": None},
        y={"scale": alt.Scale(domain=[height, 0], nice=False, zero=False), "axis": _row_axis(layout)},
    )
    geometry = [_tile_row(tile) for tile in layout.tiles]
    network = [
        _lines(layout, plane, palette),
        _blank_tiles(geometry, plane, palette),
        *_hatched(coloring, geometry, plane, palette),
        _tiles(coloring, geometry, plane, palette, picked),
        _kind_marks(coloring, geometry, plane, palette),
        _names(geometry, plane, palette),
        _frames(geometry, f"{PICKED}.tile && {PICKED}.tile[0] === datum.tile", plane, palette.frame),
    ]
    parts: list[Any] = [alt.layer(*network)]
    if ribbon:
        parts.append(alt.layer(*ribbon_layers(ribbon, layout.height, plane.y, palette, STEP)))
    slider = alt.binding_range(min=0, max=steps - 1, step=1, name="Step ") if ribbon else alt.Undefined
    chart = cast(Any, alt.layer(*parts)).resolve_scale(x="independent", color="independent", shape="independent")
    chart = chart.add_params(alt.param(name=STEP, value=step, bind=slider))
    result: alt.LayerChart = chart.properties(height=height + _LEGEND_HEIGHT + (_AXIS_HEIGHT if ribbon else 0))
    return result


def _row_axis(layout: NetworkLayout) -> alt.Axis:
    labels = {f"{y:g}": text for y, text in layout.rows}
    return alt.Axis(
        title=None,
        values=[y for y, _ in layout.rows],
        labelExpr=f"({labels})[datum.value]",
        domain=False,
        ticks=False,
        grid=False,
        labelPadding=6,
    )


def _tile_row(tile: Tile) -> Row:
    label = component_label(tile.name)
    (x, y), text = tile.middle, _label(tile, label)
    kind = label.kind_label if tile.sort in ("component", "part", "skip", "network") and label.kind else ""
    return {
        "tile": tile.name,
        "left": round(tile.left, 3),
        "right": round(tile.right, 3),
        "top": tile.top,
        "bottom": tile.bottom,
        "x": round(x, 3),
        "y": y,
        "sort": tile.sort,
        "label": text,
        "kind": kind,
        "own": tile.members[0] if tile.members else "",
    }


def _label(tile: Tile, label: ComponentLabel) -> str:
    if tile.sort == "end":
        return {"conv_in": "Input convolution", "conv_out": "Output convolution"}.get(tile.name, tile.name)
    if tile.sort == "block" or len(tile.members) > 1:
        name = block_label(tile.name) if tile.sort == "block" else "Skip connections"
        return f"{name} ({len(tile.members)} components)"
    return label.full


def _lines(layout: NetworkLayout, plane: Plane, palette: Palette) -> alt.Chart:
    rows = [
        {"left": start[0], "top": start[1], "x2": end[0], "y2": end[1], "skip": bool(skip)}
        for start, end, skip in segments(layout)
    ]
    width = alt.condition("datum.skip", alt.value(1.2), alt.value(2.5))
    return (
        alt.Chart(inline_data(rows))
        .mark_rule(color=palette.muted, opacity=0.5, strokeCap="round", aria=False)
        .encode(**plane.area("x2", "y2"), strokeWidth=width)
    )


def _blank_tiles(geometry: Sequence[Row], plane: Plane, palette: Palette) -> alt.Chart:
    """All tiles, empty: what was not tried at a step shows as one."""
    return (
        alt.Chart(inline_data(geometry))
        .mark_rect(fill=palette.paper, stroke=palette.muted, strokeWidth=0.8, cornerRadius=3, aria=False)
        .encode(**plane.area(), tooltip=[alt.Tooltip("label:N", title="Not tried here")])
    )


def _at_step(rows: Sequence[Row], geometry: Sequence[Row], calculated: Mapping[str, str] | None = None) -> alt.Chart:
    """Return the rows that hold at the step, with their tile's place."""
    fields = ["left", "right", "top", "bottom", "x", "y", "label", "kind", "own", "sort"]
    chart = alt.Chart(inline_data(rows)).transform_filter(_SPAN)
    chart = chart.transform_lookup(
        lookup="tile", from_=alt.LookupData(data=inline_data(geometry), key="tile", fields=fields)
    )
    chart = chart.transform_filter("isValid(datum.left)")
    chart = chart.transform_calculate(path="datum.path || datum.own")
    return chart.transform_calculate(**calculated) if calculated else chart


def _tiles(
    coloring: Coloring, geometry: Sequence[Row], plane: Plane, palette: Palette, picked: Row | None
) -> alt.Chart:
    pick = alt.selection_point(
        name=PICKED, fields=list(PICKED_FIELDS), on="click", empty=False, value=[picked] if picked else alt.Undefined
    )
    return (
        _at_step(coloring.rows, geometry, coloring.calculated)
        .mark_rect(cursor="pointer", cornerRadius=3, stroke=palette.muted, strokeWidth=0.8)
        .encode(**plane.area(), color=coloring.color, tooltip=list(coloring.tooltip), description="about:N")
        .add_params(pick)
    )


def _hatched(coloring: Coloring, geometry: Sequence[Row], plane: Plane, palette: Palette) -> list[alt.Chart]:
    if not coloring.hatched:
        return []
    tooltip = [alt.Tooltip("label:N", title="Component"), alt.Tooltip("state:N", title="State")]
    mark = _at_step(coloring.hatched, geometry).mark_rect(fill=palette.line, stroke=palette.muted, strokeDash=[3, 2])
    return [mark.encode(**plane.area(), tooltip=tooltip)]


def _kind_marks(coloring: Coloring, geometry: Sequence[Row], plane: Plane, palette: Palette) -> alt.Chart:
    """The kind of each component by its shape, in a colour that is readable on the tile's."""
    shape = alt.Shape(
        "kind:N",
        scale=alt.Scale(domain=list(KIND_LABELS.values()), range=[SHAPES[k] for k in KIND_LABELS]),
        legend=None,
    )
    return (
        _at_step(coloring.rows, geometry)
        .transform_filter("datum.kind !== '' && datum.sort !== 'part' && datum.sort !== 'skip'")
        .mark_point(filled=True, size=38, opacity=1, aria=False)  # without a tooltip it lets clicks pass
        .encode(
            x=alt.X("x:Q", **plane.x),
            y=alt.Y("y:Q", **plane.y),
            shape=shape,
            color=alt.condition("datum.dark", alt.value("#000000"), alt.value("#FFFFFF")),
        )
    )


def _names(geometry: Sequence[Row], plane: Plane, palette: Palette) -> alt.Chart:
    """The names of what has no kind to recognize it by: the ends below their tiles, the network beside its own."""
    names = {"conv_in": "in", "conv_out": "out", UNET: "\u00a0Whole network"}
    rows = [
        row | {"name": names[row["tile"]], "at": row["right"] if row["tile"] == UNET else row["x"]}
        for row in geometry
        if row["tile"] in names
    ]
    for row in rows:
        row["below"] = row["y"] if row["tile"] == UNET else row["bottom"] + 7
    align = alt.expr("datum.tile === 'unet' ? 'left' : 'center'")
    return (
        alt.Chart(inline_data(rows))
        .mark_text(fontSize=10, color=palette.muted, align=align, aria=False)
        .encode(x=alt.X("at:Q", **plane.x), y=alt.Y("below:Q", **plane.y), text="name:N")
    )


def _frames(geometry: Sequence[Row], test: str, plane: Plane, color: str) -> alt.Chart:
    return (
        alt.Chart(inline_data(geometry))
        .transform_filter(test)
        .mark_rect(fillOpacity=0, stroke=color, strokeWidth=3, cornerRadius=3, aria=False)
        .encode(**plane.area())
    )
