"""What the map of the network shows of a policy: the action of each part at each step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import altair as alt

from dashboard.charts.axes import Row
from dashboard.charts.network.layout import NetworkLayout, Tile
from dashboard.charts.network.network_chart import Coloring
from dashboard.charts.policy_map import PolicyMap, Span
from dashboard.charts.policy_map_chart import state_colors
from dashboard.theme.colors import luminance
from dashboard.theme.palette import Palette
from dashboard.words.component_labels import component_label

MIXED = "Several, differently"
"""The state of a folded tile whose components are in different states."""
_DARK_FROM = 0.179  # luminance from which dark marks are more readable


def policy_coloring(policy_map: PolicyMap, layout: NetworkLayout, steps: int, palette: Palette) -> Coloring:
    """Return the colours of a policy's states: what saves time strong, what is computed pale."""
    colors = state_colors(palette.theme) | {MIXED: palette.muted}
    spans: dict[str, list[Span]] = {}
    for span in policy_map.spans:
        spans.setdefault(span.component, []).append(span)
    rows = [
        row | {"dark": luminance(colors[str(row["state"])]) > _DARK_FROM}
        for tile in layout.tiles
        for row in _rows(tile, [spans[name] for name in tile.members if name in spans], steps)
    ]
    present = {row["state"] for row in rows}
    states = [state for state in colors if state in present]
    color = alt.Color(
        "state:N",
        scale=alt.Scale(domain=states, range=[colors[state] for state in states]),
        legend=alt.Legend(orient="top", title=None, symbolType="square", symbolOpacity=1, columns=3),
        sort=states,
    )
    titles = {"label": "Component", "state": "State", "details": "Details", "span": "Steps"}
    return Coloring(
        rows=rows,
        color=color,
        tooltip=[alt.Tooltip(f"{field}:N", title=text) for field, text in titles.items()],
        calculated={
            "span": "datum.end - datum.begin > 1 ? datum.begin + '–' + (datum.end - 1) : datum.begin",
            "about": "datum.label + ', ' + datum.state",
        },
    )


def _rows(tile: Tile, members: Sequence[Sequence[Span]], steps: int) -> list[Row]:
    """Return the spans of a tile: its component's, or of several what they share."""
    if not members:
        return []
    by_step = [_states(spans, steps) for spans in members]
    shared = [_shared(states) for states in zip(*by_step, strict=True)]
    rows, begin = [], 0
    for (state, details), run in groupby(shared):
        end = begin + len(list(run))
        rows.append({"tile": tile.name, "begin": begin, "end": end, "state": state, "details": details})
        begin = end
    return rows


def _states(spans: Sequence[Span], steps: int) -> list[tuple[str, str]]:
    states = [("", "")] * steps
    for span in spans:
        for step in range(span.window.start, span.window.stop):
            states[step] = (span.state, span.details or "–")
    return states


def _shared(states: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Return the state of a tile of several components; differing details are left out."""
    names = {state for state, _ in states}
    if len(names) > 1:
        return MIXED, "Unfold the block to see each"
    details = {text for _, text in states}
    return names.pop(), details.pop() if len(details) == 1 else "–"


def used_parts(policy_map: PolicyMap) -> list[str]:
    """Return the parts of transformers that a policy's map has rows of."""
    parts = ("self_attention", "cross_attention", "feed_forward")
    return [name for name in policy_map.components if component_label(name).kind in parts]
