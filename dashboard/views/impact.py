"""Impact: what each component is worth in each window."""

from __future__ import annotations

import streamlit as st

from dashboard import choices, parts
from dashboard.cells import action_choices, cells_of, choice_label, in_network_order, lengths, with_action
from dashboard.charts.impact import PICKED, heat_map, ranking
from dashboard.data import Sweep
from dashboard.frame import page
from dashboard.pages import go
from store.records import Window

_SHOWN = 15


def show(sweep: Sweep) -> None:
    """Choices, the map, the ranking."""
    impact = sweep.impact("mse")
    cells = cells_of(impact)
    first, second, third = st.columns([2, 2, 3])
    with first:
        action = choices.select("action", "Action", action_choices(cells), show=choice_label)
    cells = with_action(cells, action)
    with second:
        length = choices.segments("length", "Window length", lengths(cells))
    cells = [cell for cell in cells if cell.window.stop - cell.window.start == length]
    order = in_network_order(list(dict.fromkeys(name for name in sweep.components if any(c.label.path == name for c in cells))))
    top = max(cell.mean for cell in cells)
    picked = parts.chart(
        heat_map(cells, order, sweep.steps, top, "Damage", parts.palette()), key="impact map", select=True
    )
    _open_evidence(picked)
    parts.section("Most and least harmful")
    parts.chart(ranking(cells[:_SHOWN], "Damage", parts.palette(), one=1.0))


def _open_evidence(picked: object) -> None:
    found = picked.selection.get(PICKED) if picked is not None else None
    if found:
        spot = found[0]
        window = Window(start=int(spot["start"]), stop=int(spot["stop"]))
        go("evidence", {"component": spot["path"], "action": spot["action"], "window": str(window)})


if __name__ == "__main__":
    page(
        "Impact",
        "How much the picture changes when one component is left out in one window of sampling steps.",
        show,
    )
