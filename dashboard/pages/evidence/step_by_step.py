"""One condition step by step: both trajectories as film strips, one slider for both, and their distances."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from dashboard.data.ablation_runs import AblationRun
from dashboard.data.sweep import Sweep
from dashboard.data.unit_data import Followed, Trajectory, distances, trajectory
from dashboard.pages.evidence.distance_chart import distance_curve
from dashboard.pages.evidence.metric_table import metric_rows
from dashboard.widgets import choices
from dashboard.widgets import panels as content
from dashboard.widgets.cached_chart import drawn
from dashboard.widgets.images import distance_map, gain_for, heat_pixels, pixels_of, source_of
from dashboard.widgets.page_template import errors_in_a_panel
from dashboard.widgets.picture_cards import Shot, card, strip
from dashboard.words.component_labels import condition_label
from store.records import Ablation
from store.shard.payload import DistanceName

_COLUMNS = 26
_FOLLOWED: dict[Followed, str] = {"pred_x0": "Predicted picture", "x_t": "Noisy state"}
_CURVES: dict[Followed, tuple[tuple[DistanceName, str], ...]] = {
    "pred_x0": (("pred_x0_rel_l2", "Relative L2"), ("pred_x0_cosine", "Cosine")),
    "x_t": (("x_t_rel_l2", "Relative L2"), ("x_t_cosine", "Cosine")),
}


def step_by_step(sweep: Sweep, ablation: Ablation) -> None:
    """Choose a condition and follow its two runs."""
    content.section(
        "One condition, step by step",
        help="The predicted picture is what the network expects the end to look like; the noisy state is what the "
        "step starts from. Both runs share every random number, so that all that differs comes from the ablation.",
    )
    runs = sweep.runs.of[ablation]
    left, right = st.columns([5, 2], vertical_alignment="bottom")
    with left:
        run = choices.select(
            "condition",
            "Condition",
            runs,
            token=lambda run: str(run.condition),
            show=lambda run: condition_label(sweep.runs.conditions[run.condition]),
        )
    with right:
        followed = choices.segments("follow", "Follow", list(_FOLLOWED), show=lambda name: _FOLLOWED[name])
    _follow(sweep, ablation, run, followed)


@st.fragment
def _follow(sweep: Sweep, ablation: Ablation, run: AblationRun, followed: Followed) -> None:
    with errors_in_a_panel():
        _both_runs(sweep, ablation, run, followed)


def _both_runs(sweep: Sweep, ablation: Ablation, run: AblationRun, followed: Followed) -> None:
    baseline = trajectory(sweep, run.baseline, run.index, followed)
    ablated = trajectory(sweep, run.key, run.index, followed)
    columns = sweep.steps + (followed == "x_t")
    if not baseline.steps or not ablated.steps:
        content.note(
            "This sweep kept final pictures only, so there are no states to follow; "
            "its configuration says under keep what is kept."
        )
        at = choices.slider("step", "Step", list(range(columns)), default=min(ablation.window.stop, columns) - 1)
    else:
        at = choices.slider(
            "step", "Step", list(baseline.steps), default=_near(baseline.steps, ablation.window.stop - 1)
        )
        left, right = st.columns([5, 4], gap="medium")
        with left:
            _large(baseline, ablated, at)
        with right:
            content.table(metric_rows(sweep, run), name="metrics", height=276)
        _strips(baseline, ablated, ablation, at)
    _curves(sweep, ablation, run, followed, columns, at)


def _near(steps: Sequence[int], step: int) -> int:
    return min(steps, key=lambda other: abs(other - step))


def _state(run: Trajectory, baseline: Trajectory, step: int) -> tuple[Any, bool]:
    """A run's state at a step and whether it is the baseline's own, as it is before the run began; None if not kept."""
    if step in run.steps:
        return run.states[run.steps.index(step)], False
    if step < run.start and step in baseline.steps:
        return baseline.states[baseline.steps.index(step)], True
    return None, False


def _gain(baseline: Trajectory, ablated: Trajectory) -> int:
    shared = [step for step in ablated.steps if step in baseline.steps]
    return gain_for([distance_map(_state(ablated, baseline, s)[0], _state(baseline, baseline, s)[0]) for s in shared])


def _large(baseline: Trajectory, ablated: Trajectory, at: int) -> None:
    own, same = _state(ablated, baseline, at)
    first, _ = _state(baseline, baseline, at)
    shots = [(Shot(source=source_of(pixels_of(first)), alt="Baseline"), "Baseline")]
    if own is None:
        text = "The ablated run kept nothing of this step."
    else:
        gain = _gain(baseline, ablated)
        heat = heat_pixels(distance_map(own, first), gain, content.palette())
        shots += [(Shot(source=source_of(pixels_of(own)), alt="Ablated"), "Ablated")]
        shots += [(Shot(source=source_of(heat), alt="Difference"), f"Difference ×{gain}")]
        text = "Before its window, the ablated run is the baseline." if same else ""
    st.html(card(shots, f"Step {at}", text))


def _strips(baseline: Trajectory, ablated: Trajectory, ablation: Ablation, at: int) -> None:
    every = max(1, -(-len(baseline.steps) // _COLUMNS))
    steps = [step for place, step in enumerate(baseline.steps) if place % every == 0 or step == at]
    gain, palette = _gain(baseline, ablated), content.palette()
    rows: dict[str, list[Shot | None]] = {"Baseline": [], "Ablated": [], f"Difference ×{gain}": []}
    for step in steps:
        first, _ = _state(baseline, baseline, step)
        own, same = _state(ablated, baseline, step)
        rows["Baseline"].append(Shot(source=source_of(pixels_of(first), thumbnail=True), alt=f"Baseline, step {step}"))
        if own is None:
            rows["Ablated"].append(None)
            rows[f"Difference ×{gain}"].append(None)
            continue
        heat = heat_pixels(distance_map(own, first), gain, palette)
        rows["Ablated"].append(
            Shot(source=source_of(pixels_of(own), thumbnail=True), alt=f"Ablated, step {step}", faint=same)
        )
        rows[f"Difference ×{gain}"].append(Shot(source=source_of(heat, thumbnail=True), alt=f"Difference, step {step}"))
    st.html(strip(rows, steps, window=ablation.window, at=at))


def _curves(sweep: Sweep, ablation: Ablation, run: AblationRun, followed: Followed, columns: int, at: int) -> None:
    start, found = distances(sweep, run.key, run.index)
    shown = [(name, title) for name, title in _CURVES[followed] if name in found]
    if not shown:
        content.note("This unit holds no distances by step.")
    # A distance of states belongs to the state that a step leaves, which is the input of the next one.
    first = start + (followed == "x_t")
    for place, (name, title) in enumerate(shown):
        values = np.asarray(found[name], dtype=np.float64).tolist()
        drawn(
            f"distance {name}",
            partial(
                distance_curve,
                range(first, first + len(values)),
                values,
                title,
                columns,
                ablation.window,
                at,
                last=place == len(shown) - 1,
            ),
            sweep,
            run.key,
            str(run.index),
            str(at),
        )
