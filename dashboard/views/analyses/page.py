"""The analyses page: what the stored trajectories and damages show that no single cell does."""

from __future__ import annotations

import re

import streamlit as st

from compute.analysis.report.analysis_sentences import (
    curvature_sentence,
    similarity_sentence,
    spectrum_sentence,
)
from compute.analysis.trajectories.baseline_states import StateName
from compute.analysis.trajectories.curvature import uneven_schedule
from dashboard.data.analyses import TrajectoryShapes, trajectory_shapes
from dashboard.data.sweep import Sweep
from dashboard.views.analyses import analysis_charts as charts
from dashboard.views.analyses.damage_analyses import show_fragile_prompts, show_observed_change
from dashboard.widgets import choices
from dashboard.widgets.cached_chart import cached_chart
from dashboard.widgets.page_template import render_page
from dashboard.widgets.panels import errors_as_panel, note, panel, section, sentence_list
from dashboard.widgets.tables import table
from store.errors import SkipscopeError

_STATES: dict[StateName, str] = {"pred_x0": "predictions", "x_t": "states"}
_STATE_LABELS = {"pred_x0": "Predicted picture", "x_t": "State"}
_STOCHASTIC = re.compile(r"ddpm|ancestral|sde|lcm|tcd", re.IGNORECASE)
_SCHEDULES = (5, 8, 10, 15, 20, 25)
_SIMILARITY_HELP = (
    "The cosine of the angle between the states of two steps: 1 is the same direction, 0 is unrelated. Steps that are "
    "alike can stand for each other; it only observes, and does not say what a reuse would do."
)
_SPECTRUM_HELP = (
    "The predicted picture as a sum of waves: how much of its variation lies at each spatial frequency. Coarse shapes "
    "have few cycles a side, fine detail has many."
)
_CURVATURE_HELP = (
    "A solver's step goes straight on, so a step is the worse the more the path bends meanwhile. The schedule puts "
    "steps where it bends: their density follows the square root of the bend. It is to be measured, not a result."
)


def show(sweep: Sweep) -> None:
    """Show the page. Each analysis says for itself what it lacks."""
    state = _choose_state()
    shapes = _shapes(sweep, state)
    if shapes is not None:
        _show_similarity(sweep, state, shapes)
        _show_curvature(sweep, state, shapes)
    predictions = shapes if state == "pred_x0" else _shapes(sweep, "pred_x0")
    if predictions is not None:
        _show_spectrum(sweep, predictions)
    if not sweep.metrics:
        panel("No damage yet", "No ablation is finished so far; how it relates to what one observes appears here.")
        return
    metric = choices.select("metric", "Metric", sweep.metrics, format_func=sweep.metric_label)
    with errors_as_panel():
        impact = sweep.impact(metric)
        show_observed_change(sweep, impact)
        show_fragile_prompts(sweep, impact)


def _choose_state() -> StateName:
    names = list(_STATES)
    return choices.segments(
        "state",
        "Trajectory of the",
        names,
        format_func=_STATE_LABELS.__getitem__,
        help="The predicted picture is what a step takes the final picture to be; the state is its input, with noise.",
    )


def _shapes(sweep: Sweep, state: StateName) -> TrajectoryShapes | None:
    try:
        return trajectory_shapes(sweep, state)
    except SkipscopeError as error:
        panel(f"The {_STATES[state]} cannot be analysed", str(error))
        return None


def _show_similarity(sweep: Sweep, state: StateName, shapes: TrajectoryShapes) -> None:
    section("How alike the steps are", help=_SIMILARITY_HELP)
    sentence_list([similarity_sentence(shapes.similarity, shapes.steps, _STATES[state])])
    cached_chart(
        "similarity",
        lambda palette: charts.similarity_chart(shapes.similarity, shapes.steps, palette),
        sweep,
        state,
        alt_text="The cosine between the states of each pair of steps",
    )
    _csv_of_matrix(shapes)


def _csv_of_matrix(shapes: TrajectoryShapes) -> None:
    rows = [
        {
            "Step": step,
            **{f"Step {other}": round(float(value), 6) for other, value in zip(shapes.steps, row, strict=True)},
        }
        for step, row in zip(shapes.steps, shapes.similarity, strict=True)
    ]
    with st.expander("The numbers"):
        table(rows, name="similarity", height=300)


def _show_curvature(sweep: Sweep, state: StateName, shapes: TrajectoryShapes) -> None:
    section("Where the trajectory bends", help=_CURVATURE_HELP)
    options = [count for count in _SCHEDULES if count < sweep.steps] or [sweep.steps]
    count = choices.slider("schedule", "Steps of the schedule", options, default=options[min(2, len(options) - 1)])
    schedule = uneven_schedule(shapes.curvature, sweep.steps, count)
    sentence_list([curvature_sentence(shapes.curvature, schedule, _STATES[state])])
    if state == "x_t" and _is_stochastic(sweep):
        note("This sampler adds noise at every step, which bends the states' path by itself: judge by the predictions.")
    cached_chart(
        "curvature",
        lambda palette: charts.curvature_chart(shapes.curvature, schedule, sweep.steps, palette),
        sweep,
        state,
        str(count),
        alt_text="How much the trajectory bends at each step, and the suggested schedule",
    )


def _is_stochastic(sweep: Sweep) -> bool:
    sampler = sweep.header.settings.get("sampler", {})
    return bool(_STOCHASTIC.search(str(sampler.get("name", "")))) or bool(sampler.get("eta"))


def _show_spectrum(sweep: Sweep, shapes: TrajectoryShapes) -> None:
    section("The spectrum of the predicted picture", help=_SPECTRUM_HELP)
    sentence_list([spectrum_sentence(shapes.spectrum, shapes.steps)])
    cached_chart(
        "spectrum",
        lambda palette: charts.spectrum_chart(shapes.spectrum, shapes.steps, shapes.side, palette),
        sweep,
        alt_text="The power of the predicted picture at each spatial frequency, of some steps",
    )


if __name__ == "__main__":
    render_page("What the trajectories look like, and what one sees of a component beside what it causes.", show)
