"""The impact page: what each component changes in each window."""

from __future__ import annotations

from typing import Any

import streamlit as st

from compute.analysis.impact.ablation_impact import Impact
from compute.analysis.impact.group_curves import GroupCurve
from compute.analysis.impact.resting import Rest
from compute.analysis.report.sentences import caution
from dashboard.charts.color_scale import ColorScale
from dashboard.charts.group_chart import group_chart
from dashboard.data.impact_cells import Actions, Cell, MissingCell, in_network_order
from dashboard.data.sweep import Sweep
from dashboard.navigation import go_to
from dashboard.theme.palette import Figure, Palette
from dashboard.views.impact.cell_filters import action_options, actions_label, actions_token, length_options
from dashboard.views.impact.heat_map import PICKED, heat_map
from dashboard.views.impact.map_legend import show_kinds, show_missing
from dashboard.views.impact.network_section import show_network
from dashboard.views.impact.ranking_chart import ranking_chart
from dashboard.views.impact.rest_panel import show_rest
from dashboard.widgets import choices
from dashboard.widgets.cached_chart import cached_chart
from dashboard.widgets.page_template import render_page
from dashboard.widgets.panels import fact_list, note, panel, section
from dashboard.widgets.tables import table
from dashboard.words.action_labels import action_label
from dashboard.words.component_labels import kind_label
from dashboard.words.explanations import NO_ABLATION, damage_explanation
from dashboard.words.formatting import condition_label, number_text, window_label
from dashboard.words.metric_labels import metric_in_sentence, scale_label
from store.errors import SkipscopeError
from store.records import Condition, Window

_RANKED = 12
_ALL_CONDITIONS = "all"


def show(sweep: Sweep) -> None:
    """Show the page."""
    if not sweep.runs.by_ablation:
        panel("No impact yet", f"{NO_ABLATION}; the map fills as units get done.")
        return
    impact, condition, actions, length = _show_choices(sweep)
    all_cells = sweep.cells(impact.metric, condition)
    cells = [cell for cell in all_cells if cell.ablation.action in actions and cell.length == length]
    if not cells:
        raise SkipscopeError("No ablation of this choice is finished yet; choose another action, window or condition.")
    selection = (
        impact.metric,
        actions_token(actions),
        str(length),
        "" if condition is None else condition.model_dump_json(),
    )
    if condition is not None:
        many = f"Show the mean over all {len(impact.conditions)}"
        choices.way_back(f"Only one condition: {condition_label(condition)}.", many, "condition")
    _show_controls(impact, condition)
    missing = [
        cell
        for cell in sweep.missing_cells(condition)
        if cell.ablation.action in actions and cell.ablation.window.stop - cell.ablation.window.start == length
    ]
    show_network(sweep, impact, condition, all_cells, cells, missing, selection)
    rest = show_rest(sweep, impact) if condition is None else None
    _show_map(sweep, impact, condition, actions, all_cells, cells, missing, selection, rest)
    if condition is None:
        _show_curves(sweep, impact, actions, length, selection)
    _show_ranking(sweep, impact, cells, selection)


def _show_choices(sweep: Sweep) -> tuple[Impact, Condition | None, Actions, int]:
    metric_column, action_column, window_column, condition_column = st.columns([3, 3, 2, 4])
    with metric_column:
        metric = choices.select(
            "metric", "Metric", sweep.metrics, format_func=sweep.metric_label, help=damage_explanation()
        )
    impact = sweep.impact(metric)
    # Of a sweep that runs, the choices are those of its plan, so that they stay as units get done.
    ablations = [cell.ablation for cell in sweep.cells(metric)]
    ablations += [cell.ablation for cell in sweep.missing_cells()]
    with action_column:
        actions = choices.select(
            "shown_action",
            "Action",
            action_options(ablations),
            token=actions_token,
            format_func=actions_label,
            help="Bypass drops what a block adds, zero empties a skip connection, reuse repeats what an earlier step "
            "computed.",
        )
    with window_column:
        length = choices.select(
            "length",
            "Window",
            length_options(ablation for ablation in ablations if ablation.action in actions),
            format_func=lambda length: "1 step" if length == 1 else f"{length} steps",
        )
    conditions = {str(i): c for i, c in enumerate(sweep.runs.conditions) if c in impact.conditions}
    all_label = f"All {len(impact.conditions)}, mean"
    with condition_column:
        token = choices.select(
            "condition",
            "Condition",
            [_ALL_CONDITIONS, *conditions],
            format_func=lambda token: condition_label(conditions[token]) if token in conditions else all_label,
        )
    return impact, conditions.get(token), actions, length


def _show_controls(impact: Impact, condition: Condition | None) -> None:
    null = "not run yet" if impact.null is None else f"{scale_label(impact)} {number_text(impact.null.mean)}"
    reseed = number_text(impact.reseed if condition is None else impact.reseeds[impact.conditions.index(condition)])
    if impact.scale == "damage":
        reseed = f"Damage 1 = {metric_in_sentence(impact.metric, impact.label)} {reseed}"
    fact_list(
        [
            ("Control: nothing removed", null),
            ("Control: another seed", reseed),
            ("A higher number is", "worse" if impact.higher_is_worse else "better"),
            ("Ablations, conditions", f"{len(impact.ablations)}, {len(impact.conditions) if condition is None else 1}"),
        ]
    )


def _show_map(
    sweep: Sweep,
    impact: Impact,
    condition: Condition | None,
    actions: Actions,
    all_cells: list[Cell],
    cells: list[Cell],
    missing: list[MissingCell],
    selection: tuple[str, ...],
    rest: Rest | None,
) -> None:
    """Show the map of `cells` in colours that cover `all_cells`; a click leads to the cell's evidence."""

    def build(palette: Palette) -> Figure:
        colors = ColorScale.of([cell.mean for cell in all_cells], impact.scale, impact.higher_is_worse, palette)
        components = in_network_order(sweep.planned_components(actions))
        return heat_map(cells, components, sweep.steps, colors, scale_label(impact), missing, outlined)

    outlined = [ablation.ablation for ablation in rest.passed] if rest else []
    section(
        "Components by windows",
        help="A row for each component, from the network's input to its output; a window is a range of sampling steps "
        "in which the component was left out. Click a cell to see its pictures.",
    )
    show_kinds(sweep.planned_components(actions))
    alt_text = f"{scale_label(impact)} of each component in each window"
    event = cached_chart("impact map", build, sweep, *selection, *_rest_tokens(rest), select=True, alt_text=alt_text)
    show_missing(missing)
    picked = event.selection.get(PICKED) if event is not None else None
    if picked:
        cell = picked[0]
        window = Window(start=int(cell["start"]), stop=int(cell["stop"]))
        chosen = {"component": cell["path"], "action": cell["action"], "window": str(window)}
        if condition is not None:
            chosen["condition"] = str(sweep.runs.conditions.index(condition))
        go_to("evidence", chosen)


def _rest_tokens(rest: Rest | None) -> tuple[str, ...]:
    return (str(rest.steps), str(rest.threshold)) if rest else ()


def _show_curves(sweep: Sweep, impact: Impact, actions: Actions, length: int, selection: tuple[str, ...]) -> None:
    by_kind, by_level = sweep.curves(impact.metric, actions, length)
    left, right = st.columns(2, gap="large")
    with left:
        section(
            "By kind of component",
            help="The mean over all components of a kind; bands are 95% intervals over conditions.",
        )
        labels = {curve.group: kind_label(curve.group) for curve in by_kind}
        _show_group_chart("kinds", by_kind, labels, sweep, impact, selection)
    if by_level:
        with right:
            section(
                "By depth",
                help="The level of a component: level 0 works at the full resolution, each further one at half of it.",
            )
            labels = {curve.group: f"Level {curve.group}" for curve in by_level}
            _show_group_chart("levels", by_level, labels, sweep, impact, selection)


def _show_group_chart(
    name: str,
    curves: tuple[GroupCurve, ...],
    labels: dict[str, str],
    sweep: Sweep,
    impact: Impact,
    selection: tuple[str, ...],
) -> None:
    if max(len(curve.windows) for curve in curves) < 2:
        note("There is only one window, so there is no curve over steps.")
        return
    cached_chart(
        name,
        lambda palette: group_chart(curves, labels, sweep.steps, scale_label(impact), palette),
        sweep,
        *selection,
        alt_text=f"{scale_label(impact)} by {name[:-1]} in each window: {', '.join(labels.values())}",
    )


def _show_ranking(sweep: Sweep, impact: Impact, cells: list[Cell], selection: tuple[str, ...]) -> None:
    section("The most harmful first", help="The table has every ablation of this choice; its CSV has all digits.")
    note(caution(impact))
    reseed = 1.0 if impact.scale == "damage" else None
    left, right = st.columns([6, 7], gap="medium")
    with left:
        cached_chart(
            "ranking",
            lambda palette: ranking_chart(cells[:_RANKED], scale_label(impact), palette, reseed=reseed),
            sweep,
            *selection,
            alt_text=f"The {min(_RANKED, len(cells))} most harmful ablations with their intervals; the table has all",
        )
    with right:
        table([_table_row(impact, cell) for cell in cells], name=f"impact-{impact.metric}", height=390)


def _table_row(impact: Impact, cell: Cell) -> dict[str, Any]:
    row: dict[str, Any] = {
        "Rank": cell.rank,
        "Component": cell.label.full,
        "Window": window_label(cell.ablation.window),
        scale_label(impact): cell.mean,
    }
    if cell.low is not None:  # a single condition has no interval
        row |= {"Low": cell.low, "High": cell.high, "Distinguishable": "yes" if cell.distinguishable else "no"}
    return row | {
        "Kind": cell.label.kind_label,
        "Action": action_label(cell.ablation.action),
        "Conditions": cell.conditions,
        "Module path": cell.label.path,
    }


if __name__ == "__main__":
    render_page("How much the picture changes when one component is left out in one window of sampling steps.", show)
