"""Evidence: the pictures behind a number, baseline beside ablated, for every condition and step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from compute.analysis.impact.ablation_impact import Impact, NoImpact
from dashboard.data.ablation_runs import Spot, Trial
from dashboard.data.impact_cells import in_network_order, values_of
from dashboard.data.sweep import Sweep
from dashboard.data.unit_data import finals
from dashboard.pages.evidence.step_by_step import step_by_step
from dashboard.widgets import choices, content
from dashboard.widgets.images import distance_map, gain_for, heat_pixels, pixels_of, source_of
from dashboard.widgets.page_frame import page
from dashboard.widgets.picture_cards import Shot, card, cards
from dashboard.words.labels import (
    action_label,
    action_token,
    component_label,
    in_sentence,
    metric_name,
    number,
    scale_label,
    window_label,
)
from store.errors import StoreError
from store.records import Condition

_PAGE = 24


def show(sweep: Sweep) -> None:
    """Choose an ablation, see all its pictures, then follow one of them."""
    trials = sweep.trials
    if not trials.of:
        content.panel("No evidence yet", "No ablation is finished so far; pictures appear here as units get done.")
        return
    impact = _impact(sweep)
    spot = _chosen_spot(sweep, impact)
    _what(sweep, impact, spot, len(trials.of[spot]))
    _every_condition(sweep, impact, spot)
    step_by_step(sweep, spot)


def _impact(sweep: Sweep) -> Impact | None:
    """Impact by the metric that the address asks for; None while controls are missing."""
    names = sweep.metrics
    if not names:
        return None
    try:
        return sweep.impact(choices.chosen("metric", names, names[0], sweep.metric_label))
    except NoImpact:
        return None


def _chosen_spot(sweep: Sweep, impact: Impact | None) -> Spot:
    trials = sweep.trials
    first = sweep.cells(impact.metric)[0].spot if impact else next(iter(trials.of))
    left, middle, right, last = st.columns([4, 3, 2, 3])
    with left:
        component = choices.select(
            "component",
            "Component",
            in_network_order(trials.components),
            show=lambda name: component_label(name).full,
            default=first.component,
        )
    actions = trials.actions(component)
    with middle:
        default = first.action if component == first.component else actions[0]
        action = choices.select("action", "Action", actions, token=action_token, show=action_label, default=default)
    windows = trials.windows(component, action)
    with right:
        harmful = first.window if first in trials.of and component == first.component else windows[0]
        window = choices.select(
            "window", "Window", windows, show=window_label, default=harmful if harmful in windows else windows[0]
        )
    if impact:
        with last:
            choices.select("metric", "Metric", sweep.metrics, show=sweep.metric_label)
    return Spot(component=component, action=action, start=window.start, stop=window.stop)


def _what(sweep: Sweep, impact: Impact | None, spot: Spot, conditions: int) -> None:
    label = component_label(spot.component)
    content.section(f"{label.full} · {action_label(spot.action).lower()} · {window_label(spot.window)}")
    cell = next((cell for cell in sweep.cells(impact.metric) if cell.spot == spot), None) if impact else None
    said = f"Tried on {conditions} conditions."
    if impact and cell:
        said = (
            f"{scale_label(impact)} {number(cell.mean)} (95% interval {number(cell.low)} to {number(cell.high)}) by "
            f"{in_sentence(metric_name(impact.metric, impact.label))} over {cell.conditions} conditions, "
            f"number {cell.rank} of {len(impact.ablations)} ablations from the most harmful."
        )
    st.html(
        f'<p class="sk-note">{content.escaped(said)} {content.escaped(label.kind_label)}, '
        f"module path <code>{content.escaped(label.path)}</code>.</p>"
    )


def _every_condition(sweep: Sweep, impact: Impact | None, spot: Spot) -> None:
    content.section(
        "Every condition",
        help="Left the baseline, with everything computed; in the middle the same prompt, seed and noise with the "
        "ablation; right where the two differ, brighter or darker than the background the more they do.",
    )
    shown = _paged(sweep.trials.of[spot])
    pairs: list[tuple[Trial, Any]] = [(trial, _finals(sweep, trial)) for trial in shown]
    maps = [distance_map(pair[1], pair[0]) for _, pair in pairs if not isinstance(pair, str)]
    gain = gain_for(maps)
    values = values_of(impact, spot) if impact else {}
    name = scale_label(impact) if impact else ""
    st.html(cards([_card(sweep, trial, pair, gain, name, values) for trial, pair in pairs]))


def _paged(trials: Sequence[Trial]) -> Sequence[Trial]:
    if len(trials) <= _PAGE:
        return trials
    starts = list(range(0, len(trials), _PAGE))
    start = choices.select(
        "shown", "Conditions shown", starts, show=lambda i: f"{i + 1} to {min(i + _PAGE, len(trials))} of {len(trials)}"
    )
    return trials[start : start + _PAGE]


def _finals(sweep: Sweep, trial: Trial) -> Any:
    """(baseline, ablated) pictures of a trial, or why they cannot be shown."""
    try:
        return finals(sweep, trial.baseline)[trial.index], finals(sweep, trial.key)[trial.index]
    except (StoreError, OSError) as error:
        return str(error)


def _card(sweep: Sweep, trial: Trial, pair: Any, gain: int, name: str, values: Mapping[Condition, float]) -> str:
    condition = sweep.trials.conditions[trial.condition]
    details = f"Seed {condition.seed}, guidance {condition.guidance:g}"
    if condition in values:
        details += f" · {in_sentence(name)} {number(values[condition])}"
    if isinstance(pair, str):
        return card([], condition.prompt, f"{details}. Cannot be shown: {pair}")
    baseline, ablated = pair
    heat = heat_pixels(distance_map(ablated, baseline), gain, content.palette())
    shots = [
        (Shot(source=source_of(pixels_of(baseline)), alt=f"Baseline: {condition.prompt}"), "Baseline"),
        (Shot(source=source_of(pixels_of(ablated)), alt=f"Ablated: {condition.prompt}"), "Ablated"),
        (Shot(source=source_of(heat), alt="Difference"), f"Difference ×{gain}"),
    ]
    return card(shots, condition.prompt, details)


if __name__ == "__main__":
    page(
        "Evidence",
        "The pictures behind a number: the baseline beside the ablated run of the same prompt, seed and noise.",
        show,
    )
