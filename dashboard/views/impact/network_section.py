"""The network as the map of impact: play it over the steps, pin a part of it, and see its film strip."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from compute.analysis.impact.ablation_impact import Impact
from compute.policy.graph import ComponentGraph
from dashboard.charts.color_scale import ColorScale
from dashboard.charts.network.phase_ribbon import Ribbon
from dashboard.data.ablation_runs import AblationRun
from dashboard.data.impact_cells import Cell, MissingCell, values_by_condition
from dashboard.data.sweep import Sweep
from dashboard.data.unit_data import trajectory
from dashboard.navigation import go_to
from dashboard.widgets import choices
from dashboard.widgets.impact_coloring import impact_coloring, steps_at_worst
from dashboard.widgets.network_map import drawn_network, network_map, phase_boundary, stored_graph
from dashboard.widgets.panels import errors_as_panel, note, section
from dashboard.widgets.trajectory_strips import trajectory_strips
from dashboard.words.action_labels import action_label, action_token
from dashboard.words.component_labels import component_label
from dashboard.words.formatting import condition_label, interval_text, number_text, window_label
from dashboard.words.metric_labels import scale_label
from store.records import Condition

_NOTHING = ""  # the token of no pinned component


def show_network(
    sweep: Sweep,
    impact: Impact,
    condition: Condition | None,
    all_cells: Sequence[Cell],
    cells: Sequence[Cell],
    missing: Sequence[MissingCell],
    selection: tuple[str, ...],
) -> None:
    """Show the map of `cells` in colours that cover `all_cells`, and the pinned component below it."""
    section(
        "The network, step by step",
        help="The network from its input (top left) to its output (top right); each row works at the resolution beside "
        "it, and the bridges are skip connections. Move the step, or play it. A click pins a component and shows its "
        "film strip; Tab and the arrow keys walk over the map, Enter pins.",
    )
    graph = stored_graph(sweep)
    if graph is not None:
        _show_map(sweep, graph, impact, condition, all_cells, cells, missing, selection)


@st.fragment
def _show_map(
    sweep: Sweep,
    graph: ComponentGraph,
    impact: Impact,
    condition: Condition | None,
    all_cells: Sequence[Cell],
    cells: Sequence[Cell],
    missing: Sequence[MissingCell],
    selection: tuple[str, ...],
) -> None:
    with errors_as_panel():
        alone = [cell for cell in cells if len(cell.ablation.components) == 1]
        names = sorted({cell.ablation.components[0] for cell in alone})
        layout, unfolded = drawn_network("network", graph, [name for name in names if name in graph.parents])
        pinned = choices.chosen_token("component", [_NOTHING, *names], _NOTHING)
        at = choices.chosen_token("at", ["", *map(str, range(sweep.steps))], "")
        step = int(at) if pinned and at else steps_at_worst(alone or cells)
        pin = network_map(
            "network",
            layout,
            lambda palette: impact_coloring(
                alone,
                missing,
                layout,
                sweep.steps,
                ColorScale.of([cell.mean for cell in all_cells], impact.scale, impact.higher_is_worse, palette),
                scale_label(impact),
            ),
            sweep,
            *selection,
            unfolded,
            steps=sweep.steps,
            step=st.session_state.setdefault(f"first step {selection}", step),
            ribbon=Ribbon(steps=sweep.steps, boundary=phase_boundary(sweep)),
            pinned=pinned,
            alt_text=f"{scale_label(impact)} of each part of the network, one step at a time",
        )
        if pin is not None and pin.start is not None and pin.stop is not None:
            pinned, at = pin.component, str((pin.start + pin.stop - 1) // 2)
            choices.set_choice("component", pinned, _NOTHING)
            choices.set_choice("at", at, "")
        together = len(cells) - len(alone)
        if together:
            note(f"{together} ablations of several components at once have no place in the drawing.")
        if pinned:
            _show_pinned(sweep, impact, condition, alone, pinned, int(at) if at else step)


def _show_pinned(
    sweep: Sweep, impact: Impact, condition: Condition | None, cells: Sequence[Cell], pinned: str, step: int
) -> None:
    """Show the drawer of the pinned component: its number in the window at a step, and its film strip."""
    own = [cell for cell in cells if cell.ablation.components == (pinned,)]
    cell = next((cell for cell in own if step in cell.ablation.window), own[0])
    ablation = cell.ablation
    with st.container(border=True, key="pinned component"):
        choices.way_back(_headline(cell, impact), "Unpin", "component", "at")
        runs = sweep.runs.by_ablation.get(ablation, ())
        if not runs:
            return
        run = _shown_run(sweep, impact, condition, cell, runs)
        shown = sweep.runs.conditions[run.condition]
        baseline = trajectory(sweep, run.baseline, run.index, "pred_x0")
        ablated = trajectory(sweep, run.key, run.index, "pred_x0")
        if baseline.steps and ablated.steps:
            nearest = min(baseline.steps, key=lambda kept: abs(kept - step))
            st.html(trajectory_strips(baseline, ablated, ablation.window, nearest))
            note(f"The predicted picture at each step: {condition_label(shown)}, which it changes most.")
        else:
            note("This sweep kept final pictures only, so there is no film strip.")
        if st.button("All its pictures", icon=":material/compare:", key="open evidence"):
            go_to(
                "evidence",
                {
                    "component": pinned,
                    "action": action_token(ablation.action),
                    "window": str(ablation.window),
                    "condition": str(run.condition),
                },
            )


def _headline(cell: Cell, impact: Impact) -> str:
    interval = "" if cell.low is None or cell.high is None else f" (95% interval {interval_text(cell.low, cell.high)})"
    return (
        f"{component_label(cell.ablation.components[0]).full} · {action_label(cell.ablation.action).lower()} · "
        f"{window_label(cell.ablation.window)}: {scale_label(impact).lower()} {number_text(cell.mean)}{interval}"
    )


def _shown_run(
    sweep: Sweep, impact: Impact, condition: Condition | None, cell: Cell, runs: Sequence[AblationRun]
) -> AblationRun:
    """Return the run of the chosen condition, else of the one that the ablation changes most."""
    if condition is not None:
        chosen = [run for run in runs if sweep.runs.conditions[run.condition] == condition]
        return (chosen or list(runs))[0]
    values = values_by_condition(impact, cell.ablation)
    sign = 1 if impact.higher_is_worse else -1
    return max(runs, key=lambda run: sign * values.get(sweep.runs.conditions[run.condition], -sign * 1e9))
