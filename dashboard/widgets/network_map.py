"""The network as a map on a page: its drawing, which blocks are folded, the step to play, the tile that is pinned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from compute.policy.graph import ComponentGraph
from compute.statistics.estimate import Estimate
from dashboard.charts.axes import Row
from dashboard.charts.network.folding import MOST_COLUMNS, block_label, blocks, fold
from dashboard.charts.network.layout import NetworkLayout, network_layout
from dashboard.charts.network.network_chart import PICKED, PICKED_FIELDS, Coloring, network_chart
from dashboard.charts.network.phase_ribbon import Ribbon
from dashboard.data.sweep import Sweep
from dashboard.theme.palette import Figure, Palette
from dashboard.widgets import choices
from dashboard.widgets.cached_chart import cached_chart
from dashboard.widgets.panels import note
from dashboard.widgets.step_player import step_player
from store.errors import SkipscopeError

_ALL, _NONE = "all", "none"
_DRAWINGS = "network drawings"


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A component that was clicked in the map, with the action and the window of its tile, if they have some."""

    component: str
    action: str
    start: int | None
    stop: int | None


def stored_graph(sweep: Sweep) -> ComponentGraph | None:
    """Return the sweep's component graph; where there is none that can be drawn, say why and return None."""
    try:
        graph = sweep.graph()
    except SkipscopeError as error:
        note(f"The network cannot be drawn: {error}")
        return None
    if graph is None:
        note("The store has no component graph, so the network is not drawn; the sweep's command writes it.")
    return graph


def phase_boundary(sweep: Sweep) -> Estimate | None:
    """Return the boundary between the phases, or None where it is not known."""
    try:
        return sweep.phases().boundary
    except SkipscopeError:
        return None  # the page Phases says why


def drawn_network(name: str, graph: ComponentGraph, parts: Sequence[str] = ()) -> tuple[NetworkLayout, str]:
    """Return the drawing of a network with the blocks that the reader folds, and the choice as text.

    A network of many components opens folded. `parts` are the parts of transformers that there is something to say of.
    """
    foldable = blocks(graph)
    if not foldable:
        return network_layout(graph, parts=parts), ""
    many = len(fold(graph, ()).columns) > MOST_COLUMNS
    column, _ = st.columns([1, 3])
    with column:
        choice = choices.select(
            f"{name}_unfold",
            "Unfolded blocks",
            [_ALL, _NONE, *foldable],
            format_func=lambda token: {_ALL: "All", _NONE: "None"}.get(token) or f"Only {block_label(token)}",
            default=_NONE if many else _ALL,
            help="A folded block is one tile, coloured by the component in it that matters most at the step.",
        )
    folded = () if choice == _ALL else [block for block in foldable if block != choice]
    return network_layout(graph, folded=folded, parts=parts), choice


def network_map(
    name: str,
    layout: NetworkLayout,
    coloring: Callable[[Palette], Coloring],
    sweep: Sweep,
    *selection: str,
    steps: int,
    step: int,
    ribbon: Ribbon | None = None,
    pinned: str = "",
    alt_text: str,
) -> Pin | None:
    """Show the map, and return the tile that was clicked since the last run.

    `selection` holds the choices that the chart depends on. With a ribbon the reader moves the step, from `step` on.
    `pinned` is the component that has a frame at first.
    """
    drawing = st.session_state.setdefault(_DRAWINGS, {}).setdefault(name, {"pinned": pinned, "number": 0, "last": None})
    if pinned != drawing["pinned"] and pinned != (drawing["last"] or {}).get("path"):
        drawing.update(pinned=pinned, number=drawing["number"] + 1)  # chosen elsewhere: drawn again with its frame

    def build(palette: Palette) -> Figure:
        picked = _initial(layout, drawing["pinned"])
        return network_chart(
            layout,
            coloring(palette),
            palette,
            steps=steps,
            step=step,
            ribbon=ribbon,
            picked=picked,
        )

    state = (drawing["pinned"], str(drawing["number"]), str(step), str(ribbon))
    event = cached_chart(name, build, sweep, *selection, *state, select=True, alt_text=alt_text)
    if ribbon is not None:
        step_player(name, step)
    rows = event.selection.get(PICKED) if event is not None else None
    row = rows[0] if rows else None
    if row is None:
        drawing["last"] = None  # the chart was drawn again, so that a click on the same tile is a new one
        return None
    if row == drawing["last"] or not row.get("path"):
        return None
    drawing["last"] = row
    start, stop = row.get("start"), row.get("stop")
    return Pin(
        component=str(row["path"]),
        action=str(row.get("action") or ""),
        start=None if start is None else int(start),
        stop=None if stop is None else int(stop),
    )


def _initial(layout: NetworkLayout, pinned: str) -> Row | None:
    tile = next((tile for tile in layout.tiles if pinned in tile.members), None) if pinned else None
    return None if tile is None else dict.fromkeys(PICKED_FIELDS) | {"tile": tile.name, "path": pinned}
