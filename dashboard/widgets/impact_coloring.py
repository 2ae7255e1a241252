"""What the map of the network shows at each step: the effect of leaving out what a tile stands for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import altair as alt

from dashboard.charts.axes import Row
from dashboard.charts.color_scale import ColorScale
from dashboard.charts.network.layout import NetworkLayout, Tile
from dashboard.charts.network.network_chart import Coloring
from dashboard.data.impact_cells import Cell, MissingCell
from dashboard.words.action_labels import action_label, action_token
from dashboard.words.component_labels import component_label
from store.records import Window


def _number(field: str) -> str:
    """Return the expression of a number as `number_text` writes it."""
    small = f"({field} > 0 ? '<0.001' : '>−0.001')"
    return f"({field} !== 0 && abs({field}) < 0.0005 ? {small} : format({field}, abs({field}) < 10 ? '.3f' : '.1f'))"


_CALCULATED = {
    "text": _number("datum.mean"),
    "interval": f"isValid(datum.low) ? {_number('datum.low')} + ' to ' + {_number('datum.high')} : "
    "'one condition: none'",
    "window": "datum.stop - datum.start > 1 ? 'steps ' + datum.start + '–' + (datum.stop - 1) : 'step ' + datum.start",
    "worst": "datum.worst || datum.label",
    "about": "datum.worst + ', ' + datum.window + ', ' + datum.text",
}


def impact_coloring(
    cells: Sequence[Cell],
    missing: Sequence[MissingCell],
    layout: NetworkLayout,
    steps: int,
    colors: ColorScale,
    title: str,
) -> Coloring:
    """Return the colours of impact; `title` names the cells' numbers.

    Of several windows at a step the one counts whose middle is nearest, of several components in a tile the one that
    matters most. Ablations of several components at once have no tile.
    """
    by_component = _by_step(cells, steps)
    legend = alt.Legend(
        title=title, orient="top", direction="horizontal", gradientLength=220, titleLimit=400, tickCount=5
    )
    titles = {"label": "Tile", "worst": "Component", "text": title, "interval": "95% interval", "window": "Left out in"}
    tooltip = [alt.Tooltip(f"{field}:N", title=text) for field, text in titles.items()]
    return Coloring(
        rows=[row for tile in layout.tiles for row in _rows(tile, by_component, steps, colors)],
        color=alt.Color("mean:Q", scale=colors.vega, legend=legend),
        tooltip=tooltip,
        hatched=_hatched(missing, layout),
        calculated=_CALCULATED,
    )


def steps_at_worst(cells: Sequence[Cell]) -> int:
    """Return the step in the middle of the most harmful cell's window: where a map says most."""
    window = min(cells, key=lambda cell: cell.rank).ablation.window
    return (window.start + window.stop - 1) // 2


def _by_step(cells: Sequence[Cell], steps: int) -> dict[str, list[Cell | None]]:
    """Return, for each component, the cell that counts at each step."""
    found: dict[str, list[Cell | None]] = {}
    for cell in sorted(cells, key=lambda cell: cell.ablation.window.start):
        if len(cell.ablation.components) != 1:
            continue
        own = found.setdefault(cell.ablation.components[0], [None] * steps)
        for step in range(cell.ablation.window.start, min(cell.ablation.window.stop, steps)):
            other = own[step]
            if other is None or _off(cell.ablation.window, step) < _off(other.ablation.window, step):
                own[step] = cell
    return found


def _off(window: Window, step: int) -> float:
    return abs(step - (window.start + window.stop - 1) / 2)


def _rows(tile: Tile, by_component: dict[str, list[Cell | None]], steps: int, colors: ColorScale) -> list[Row]:
    members = [by_component[name] for name in tile.members if name in by_component]
    if not members:
        return []
    worst: list[Cell | None] = []
    sign = 1 if colors.higher_is_worse else -1
    for at_step in zip(*members, strict=True):
        there = [cell for cell in at_step if cell is not None]
        worst.append(max(there, key=lambda cell: sign * cell.mean, default=None))
    rows, begin = [], 0
    for _, run in groupby(worst, key=id):
        cell, *others = run
        end = begin + 1 + len(others)
        if cell is not None:
            rows.append(_row(tile, cell, begin, end, colors))
        begin = end
    return rows


def _row(tile: Tile, cell: Cell, begin: int, end: int, colors: ColorScale) -> Row:
    row: dict[str, Any] = {
        "tile": tile.name,
        "begin": begin,
        "end": end,
        "start": cell.ablation.window.start,
        "stop": cell.ablation.window.stop,
        "mean": round(cell.mean, 6),
        "action": action_token(cell.ablation.action),
        "dark": colors.needs_dark_text(cell.mean),
    }
    if cell.low is not None and cell.high is not None:
        row |= {"low": round(cell.low, 6), "high": round(cell.high, 6)}
    if len(tile.members) > 1:
        path = cell.ablation.components[0]
        row |= {"path": path, "worst": component_label(path).full}
    return row


def _hatched(missing: Sequence[MissingCell], layout: NetworkLayout) -> list[Row]:
    alone = {tile.members[0]: tile.name for tile in layout.tiles if len(tile.members) == 1}
    return [
        {
            "tile": alone[cell.ablation.components[0]],
            "begin": cell.ablation.window.start,
            "end": cell.ablation.window.stop,
            "state": "Not run yet" if cell.failure is None else f"Failed: {cell.failure}",
            "what": action_label(cell.ablation.action),
        }
        for cell in missing
        if len(cell.ablation.components) == 1 and cell.ablation.components[0] in alone
    ]
