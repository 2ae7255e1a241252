"""Impact: what each component is worth in each window."""

from __future__ import annotations

from typing import Any

import streamlit as st

from compute.analysis.impact.ablation_impact import Impact
from compute.analysis.impact.group_curves import GroupCurve
from compute.analysis.report.sentences import caution
from dashboard.charts.group_chart import group_curves
from dashboard.data.impact_cells import (
    Actions,
    Cell,
    action_choices,
    choice_label,
    choice_token,
    in_network_order,
    lengths,
)
from dashboard.data.sweep import Curves, Sweep
from dashboard.navigation import go
from dashboard.pages.impact.color_scale import Shades
from dashboard.pages.impact.heat_map import PICKED, heat_map
from dashboard.pages.impact.ranking_chart import ranking
from dashboard.theme.palette import Figure, Palette
from dashboard.widgets import choices
from dashboard.widgets import panels as content
from dashboard.widgets.cached_chart import drawn
from dashboard.widgets.page_template import page
from dashboard.words.component_labels import (
    action_label,
    condition_label,
    in_sentence,
    kind_name,
    metric_name,
    number,
    scale_label,
    window_label,
)
from store.errors import SkipscopeError
from store.records import Condition, Window

_SHOWN = 12
_ALL = "all"


def show(sweep: Sweep) -> None:
    """Choices, controls, the map, the curves, the ranking."""
    if not sweep.runs.of:
        content.panel("No impact yet", "No ablation is finished so far; the map fills as units get done.")
        return
    impact, condition, actions, length = _chosen(sweep)
    everything = sweep.cells(impact.metric, condition)
    cells = [c for c in everything if c.ablation.action in actions and c.length == length]
    if not cells:
        raise SkipscopeError("No ablation of this choice is finished on this condition; choose another one.")
    view = (impact.metric, choice_token(actions), str(length), "" if condition is None else condition.model_dump_json())
    _controls(impact, condition)
    content.section(
        "Components by windows",
        help="A row for each component, from the noise's entry to the picture's "
        "exit; a window is a range of sampling steps in which the component was left out. Click a cell to see its "
        "pictures.",
    )

    def map_of(palette: Palette) -> Figure:
        shades = Shades.of([c.mean for c in everything], impact.scale, impact.higher_is_worse, palette)
        order = in_network_order(sweep.planned_components(actions))
        return heat_map(cells, order, sweep.steps, shades, scale_label(impact))

    picked = drawn(
        "impact map",
        map_of,
        sweep,
        *view,
        select=True,
        alt_text=f"{scale_label(impact)} of each component in each window",
    )
    _open_evidence(picked)
    if condition is None:
        _curves(sweep, impact, sweep.curves(impact.metric, actions, length), view)
    _ranked(sweep, impact, cells, view)


def _chosen(sweep: Sweep) -> tuple[Impact, Condition | None, Actions, int]:
    one, two, three, four = st.columns([3, 3, 2, 4])
    with one:
        metric = choices.select(
            "metric",
            "Metric",
            sweep.metrics,
            show=sweep.metric_label,
            help="Damage is the distance to the baseline, divided by the distance between two seeds of the same "
            "prompt: 0 is the same picture, 1 is as different as another seed.",
        )
    impact = sweep.impact(metric)
    cells = sweep.cells(metric)
    with two:
        actions = choices.select(
            "shown_action",
            "Action",
            action_choices(cells),
            token=choice_token,
            show=choice_label,
            help="Bypass drops what a block adds, zero empties a skip connection, reuse repeats what an earlier step "
            "computed.",
        )
    with three:
        found = lengths([cell for cell in cells if cell.ablation.action in actions])
        length = choices.select("length", "Window", found, show=lambda n: "1 step" if n == 1 else f"{n} steps")
    with four:
        conditions = {_ALL: None} | {str(i): c for i, c in enumerate(sweep.runs.conditions) if c in impact.conditions}
        token = choices.select(
            "condition",
            "Condition",
            list(conditions),
            show=lambda token: _condition_text(conditions[token], len(impact.conditions)),
        )
    return impact, conditions[token], actions, length


def _condition_text(condition: Condition | None, count: int) -> str:
    return f"All {count}, mean" if condition is None else condition_label(condition)


def _controls(impact: Impact, condition: Condition | None) -> None:
    name = in_sentence(metric_name(impact.metric, impact.label))
    null = "not run yet" if impact.null is None else f"{scale_label(impact)} {number(impact.null.mean)}"
    seed = number(impact.reseed if condition is None else impact.reseeds[impact.conditions.index(condition)])
    content.facts(
        [
            ("Control: nothing removed", null),
            ("Control: another seed", f"Damage 1 = {name} {seed}" if impact.scale == "damage" else seed),
            ("A higher number is", "worse" if impact.higher_is_worse else "better"),
            ("Ablations, conditions", f"{len(impact.ablations)}, {len(impact.conditions) if condition is None else 1}"),
        ]
    )


def _open_evidence(picked: Any) -> None:
    found = picked.selection.get(PICKED) if picked is not None else None
    if found:
        cell = found[0]
        window = Window(start=int(cell["start"]), stop=int(cell["stop"]))
        go("evidence", {"component": cell["path"], "action": cell["action"], "window": str(window)})


def _curves(sweep: Sweep, impact: Impact, curves: Curves, view: tuple[str, ...]) -> None:
    kinds, levels = curves
    left, right = st.columns(2, gap="large")
    with left:
        content.section(
            "By kind of component",
            help="The mean over all components of a kind; bands are 95% intervals over conditions.",
        )
        _group_chart(sweep, impact, kinds, "kinds", view)
    if levels:
        with right:
            content.section(
                "By depth",
                help="The level of a component: level 0 works at the full resolution, each further one at half of it.",
            )
            _group_chart(sweep, impact, levels, "levels", view)


def _group_chart(sweep: Sweep, impact: Impact, curves: tuple[GroupCurve, ...], key: str, view: tuple[str, ...]) -> None:
    if max(len(curve.windows) for curve in curves) < 2:
        content.note("One window only: there is no course over steps to draw.")
        return
    names = {curve.group: kind_name(curve.group) if key == "kinds" else f"Level {curve.group}" for curve in curves}
    drawn(key, lambda palette: group_curves(curves, names, sweep.steps, scale_label(impact), palette), sweep, *view)


def _ranked(sweep: Sweep, impact: Impact, cells: list[Cell], view: tuple[str, ...]) -> None:
    content.section(
        "From the most harmful", help="The table has every ablation of this choice; download it for all digits."
    )
    content.note(caution(impact))
    left, right = st.columns([6, 7], gap="medium")
    with left:
        one = 1.0 if impact.scale == "damage" else None
        drawn("ranking", lambda palette: ranking(cells[:_SHOWN], scale_label(impact), palette, one=one), sweep, *view)
    with right:
        content.table([_table_row(impact, cell) for cell in cells], name=f"impact-{impact.metric}", height=390)


def _table_row(impact: Impact, cell: Cell) -> dict[str, Any]:
    row: dict[str, Any] = {
        "Rank": cell.rank,
        "Component": cell.label.full,
        "Window": window_label(cell.ablation.window),
        scale_label(impact): cell.mean,
    }
    if cell.low is not None:  # of a single condition there is no interval
        row |= {"Low": cell.low, "High": cell.high, "Told from nothing": "yes" if cell.distinguishable else "no"}
    return row | {
        "Kind": cell.label.kind_label,
        "Action": action_label(cell.ablation.action),
        "Conditions": cell.conditions,
        "Module path": cell.label.path,
    }


if __name__ == "__main__":
    page(
        "Impact",
        "How much the picture changes when one component is left out in one window of sampling steps.",
        show,
    )
