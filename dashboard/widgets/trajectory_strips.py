"""Two trajectories of the same noise beside each other: the baseline's, the ablated one, and where they differ."""

from __future__ import annotations

from typing import Any

from dashboard.data.unit_data import Trajectory
from dashboard.theme.browser_theme import shown_palette
from dashboard.widgets.difference_pictures import difference_pixels, distance_map, gain_for
from dashboard.widgets.film_strip import film_strips
from dashboard.widgets.images import data_url, pixels_of
from dashboard.widgets.picture_cards import Shot
from store.records import Window

_MAX_FRAMES = 26


def state_at(run: Trajectory, baseline: Trajectory, step: int) -> tuple[Any, bool]:
    """Return a run's state at a step (None if it was not kept), and whether it is the baseline's.

    Before the step at which a run began, its states are the baseline's.
    """
    if step in run.steps:
        return run.states[run.steps.index(step)], False
    if step < run.start and step in baseline.steps:
        return baseline.states[baseline.steps.index(step)], True
    return None, False


def shared_gain(baseline: Trajectory, ablated: Trajectory) -> int:
    """Return one gain for the differences of all steps."""
    shared = [step for step in ablated.steps if step in baseline.steps]
    return gain_for([distance_map(ablated.states[ablated.steps.index(s)], _own(baseline, s)) for s in shared])


def trajectory_strips(baseline: Trajectory, ablated: Trajectory, window: Window, current: int) -> str:
    """Return both trajectories and their differences as film strips, as HTML; `window` is marked above."""
    every = max(1, -(-len(baseline.steps) // _MAX_FRAMES))
    steps = [step for place, step in enumerate(baseline.steps) if place % every == 0 or step == current]
    gain, palette = shared_gain(baseline, ablated), shown_palette()
    baselines: list[Shot | None] = []
    ablateds: list[Shot | None] = []
    differences: list[Shot | None] = []
    for step in steps:
        baseline_state = _own(baseline, step)
        ablated_state, is_baseline = state_at(ablated, baseline, step)
        baselines.append(_frame(pixels_of(baseline_state), f"Baseline, step {step}"))
        if ablated_state is None:
            ablateds.append(None)
            differences.append(None)
            continue
        difference = difference_pixels(distance_map(ablated_state, baseline_state), gain, palette)
        ablateds.append(_frame(pixels_of(ablated_state), f"Ablated, step {step}", faint=is_baseline))
        differences.append(_frame(difference, f"Difference, step {step}"))
    rows = {"Baseline": baselines, "Ablated": ablateds, f"Difference ×{gain}": differences}
    return film_strips(rows, steps, window=window, current=current)


def _own(run: Trajectory, step: int) -> Any:
    return run.states[run.steps.index(step)]


def _frame(pixels: Any, alt: str, *, faint: bool = False) -> Shot:
    return Shot(source=data_url(pixels, thumbnail=True), alt=alt, faint=faint)
