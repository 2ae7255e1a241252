"""One condition step by step: the baseline's and the ablated trajectory as film strips, and their distances."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st

from dashboard.data.ablation_runs import AblationRun
from dashboard.data.checked_units import DamagedShard
from dashboard.data.sweep import Sweep
from dashboard.data.unit_data import StateName, Trajectory, step_distances, trajectory
from dashboard.theme.browser_theme import shown_palette
from dashboard.views.evidence.distance_chart import distance_chart
from dashboard.views.evidence.metric_table import metric_rows
from dashboard.widgets import choices
from dashboard.widgets.cached_chart import cached_chart
from dashboard.widgets.difference_pictures import difference_pixels, distance_map
from dashboard.widgets.images import data_url, pixels_of
from dashboard.widgets.panels import errors_as_panel, note, section
from dashboard.widgets.picture_cards import Shot, card
from dashboard.widgets.tables import table
from dashboard.widgets.trajectory_strips import shared_gain, state_at, trajectory_strips
from dashboard.words.formatting import condition_label
from store.records import Ablation
from store.shard.payload import DistanceName

_STATE_LABELS: dict[StateName, str] = {"pred_x0": "Predicted picture", "x_t": "Noisy state"}
_DISTANCES: dict[StateName, tuple[tuple[DistanceName, str], ...]] = {
    "pred_x0": (("pred_x0_rel_l2", "Relative L2"), ("pred_x0_cosine", "Cosine")),
    "x_t": (("x_t_rel_l2", "Relative L2"), ("x_t_cosine", "Cosine")),
}


def show_step_by_step(sweep: Sweep, ablation: Ablation) -> None:
    """Let the user choose a condition, and show its two trajectories."""
    section(
        "One condition, step by step",
        help="The predicted picture is the final picture as the network predicts it at a step; the noisy state is the "
        "step's input. Both runs share every random number, so every difference comes from the ablation.",
    )
    left, right = st.columns([5, 2], vertical_alignment="bottom")
    with left:
        run = choices.select(
            "condition",
            "Condition",
            sweep.runs.by_ablation[ablation],
            token=lambda run: str(run.condition),
            format_func=lambda run: condition_label(sweep.runs.conditions[run.condition]),
        )
    with right:
        state = choices.segments("follow", "Follow", list(_STATE_LABELS), format_func=lambda name: _STATE_LABELS[name])
    _show_trajectories(sweep, ablation, run, state)


@st.fragment
def _show_trajectories(sweep: Sweep, ablation: Ablation, run: AblationRun, state: StateName) -> None:
    with errors_as_panel():
        try:
            baseline = trajectory(sweep, run.baseline, run.index, state)
            ablated = trajectory(sweep, run.key, run.index, state)
        except DamagedShard:  # the panel above says what to do
            note("The shard of this condition is damaged, so its steps are not shown.")
            return
        columns = sweep.steps + (state == "x_t")
        if baseline.steps and ablated.steps:
            last = ablation.window.stop - 1
            nearest = min(baseline.steps, key=lambda step: abs(step - last))
            current = choices.slider("step", "Step", list(baseline.steps), default=nearest)
            left, right = st.columns([5, 4], gap="medium")
            with left:
                _show_step(baseline, ablated, current)
            with right:
                table(metric_rows(sweep, run), name="metrics", height=276)
            st.html(trajectory_strips(baseline, ablated, ablation.window, current))
        else:
            note(
                "This sweep kept final pictures only, so there are no states to follow; "
                "its configuration says under keep what is kept."
            )
            default = min(ablation.window.stop, columns) - 1
            current = choices.slider("step", "Step", list(range(columns)), default=default)
        _show_distances(sweep, ablation, run, state, columns, current)


def _show_step(baseline: Trajectory, ablated: Trajectory, step: int) -> None:
    """Show both states of a step, and their difference, in large."""
    ablated_state, is_baseline = state_at(ablated, baseline, step)
    baseline_state, _ = state_at(baseline, baseline, step)
    shots = [(Shot(source=data_url(pixels_of(baseline_state)), alt="Baseline"), "Baseline")]
    if ablated_state is None:
        text = "The ablated run did not keep this step."
    else:
        gain = shared_gain(baseline, ablated)
        difference = difference_pixels(distance_map(ablated_state, baseline_state), gain, shown_palette())
        shots += [(Shot(source=data_url(pixels_of(ablated_state)), alt="Ablated"), "Ablated")]
        shots += [(Shot(source=data_url(difference), alt="Difference"), f"Difference ×{gain}")]
        text = "Before its window, the ablated run equals the baseline." if is_baseline else ""
    st.html(card(shots, f"Step {step}", text))


def _show_distances(
    sweep: Sweep, ablation: Ablation, run: AblationRun, state: StateName, columns: int, current: int
) -> None:
    start, distances = step_distances(sweep, run.key, run.index)
    shown = [(name, title) for name, title in _DISTANCES[state] if name in distances]
    if not shown:
        note("This unit has no distances per step.")
    # A distance of states is measured on the state after its step, which is the input of the next one.
    first = start + (state == "x_t")
    for place, (name, title) in enumerate(shown):
        values = np.asarray(distances[name], dtype=np.float64).tolist()
        build = partial(
            distance_chart,
            range(first, first + len(values)),
            values,
            title,
            columns,
            ablation.window,
            current,
            with_axis=place == len(shown) - 1,
        )
        alt_text = f"{title} distance of the two runs at each step"
        cached_chart(f"distance {name}", build, sweep, run.key, str(run.index), str(current), alt_text=alt_text)
