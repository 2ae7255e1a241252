"""Evidence: the pictures behind a number, baseline beside ablated, for every condition and step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from compute.analysis.impact.ablation_impact import Impact, NoImpact
from dashboard.data.ablation_runs import AblationRun
from dashboard.data.impact_cells import in_network_order, values_of
from dashboard.data.sweep import Sweep
from dashboard.data.unit_data import finals
from dashboard.pages.evidence.step_by_step import step_by_step
from dashboard.widgets import choices
from dashboard.widgets import panels as content
from dashboard.widgets.images import distance_map, gain_for, heat_pixels, pixels_of, source_of
from dashboard.widgets.page_template import page
from dashboard.widgets.picture_cards import Shot, card, cards
from dashboard.words.component_labels import (
    ablated_label,
    action_label,
    action_token,
    in_sentence,
    metric_name,
    number,
    scale_label,
    window_label,
)
from store.errors import StoreError
from store.records import Ablation, Condition, components_text

_PAGE = 24


def show(sweep: Sweep) -> None:
    """Choose an ablation, see all its pictures, then follow one of them."""
    if not sweep.runs.of:
        content.panel("No evidence yet", "No ablation is finished so far; pictures appear here as units get done.")
        return
    impact = _impact(sweep)
    ablation = _chosen_ablation(sweep, impact)
    _what(sweep, impact, ablation)
    _every_condition(sweep, impact, ablation)
    step_by_step(sweep, ablation)


def _impact(sweep: Sweep) -> Impact | None:
    """Impact by the metric that the address asks for; None while controls are missing."""
    names = sweep.metrics
    if not names:
        return None
    try:
        return sweep.impact(choices.chosen("metric", names, names[0], sweep.metric_label))
    except NoImpact:
        return None


def _chosen_ablation(sweep: Sweep, impact: Impact | None) -> Ablation:
    """The ablation that is chosen: the most harmful one until somebody chooses another."""
    runs = sweep.runs
    first = sweep.cells(impact.metric)[0].ablation if impact else next(iter(runs.of))
    left, middle, right, last = st.columns([4, 3, 2, 3])
    with left:
        components = choices.select(
            "component",
            "Component",
            in_network_order(runs.components),
            token=components_text,
            show=lambda components: ablated_label(components).full,
            default=first.components,
        )
    actions = runs.actions(components)
    with middle:
        default = first.action if components == first.components else actions[0]
        action = choices.select("action", "Action", actions, token=action_token, show=action_label, default=default)
    windows = runs.windows(components, action)
    with right:
        harmful = first.window if first in runs.of and components == first.components else windows[0]
        window = choices.select(
            "window", "Window", windows, show=window_label, default=harmful if harmful in windows else windows[0]
        )
    if impact:
        with last:
            choices.select("metric", "Metric", sweep.metrics, show=sweep.metric_label)
    return Ablation(components=components, action=action, window=window)


def _what(sweep: Sweep, impact: Impact | None, ablation: Ablation) -> None:
    """Which ablation it is, and what it did."""
    label = ablated_label(ablation.components)
    content.section(f"{label.full} · {action_label(ablation.action).lower()} · {window_label(ablation.window)}")
    cells = sweep.cells(impact.metric) if impact else []
    cell = next((cell for cell in cells if cell.ablation == ablation), None)
    sentence = f"Tried on {len(sweep.runs.of[ablation])} conditions."
    if impact and cell:
        sentence = (
            f"{scale_label(impact)} {number(cell.mean)} (95% interval {number(cell.low)} to {number(cell.high)}) by "
            f"{in_sentence(metric_name(impact.metric, impact.label))} over {cell.conditions} conditions, "
            f"number {cell.rank} of {len(impact.ablations)} ablations from the most harmful."
        )
    st.html(
        f'<p class="sk-note">{content.escaped(sentence)} {content.escaped(label.kind_label)}, '
        f"module path <code>{content.escaped(label.path)}</code>.</p>"
    )


def _every_condition(sweep: Sweep, impact: Impact | None, ablation: Ablation) -> None:
    content.section(
        "Every condition",
        help="Left the baseline, with everything computed; in the middle the same prompt, seed and noise with the "
        "ablation; right where the two differ, brighter or darker than the background the more they do.",
    )
    shown = _paged(sweep.runs.of[ablation])
    pairs: list[tuple[AblationRun, Any]] = [(run, _finals(sweep, run)) for run in shown]
    maps = [distance_map(pair[1], pair[0]) for _, pair in pairs if not isinstance(pair, str)]
    gain = gain_for(maps)
    values = values_of(impact, ablation) if impact else {}
    name = scale_label(impact) if impact else ""
    st.html(cards([_card(sweep, run, pair, gain, name, values) for run, pair in pairs]))


def _paged(runs: Sequence[AblationRun]) -> Sequence[AblationRun]:
    if len(runs) <= _PAGE:
        return runs
    starts = list(range(0, len(runs), _PAGE))
    start = choices.select(
        "shown", "Conditions shown", starts, show=lambda i: f"{i + 1} to {min(i + _PAGE, len(runs))} of {len(runs)}"
    )
    return runs[start : start + _PAGE]


def _finals(sweep: Sweep, run: AblationRun) -> Any:
    """(baseline, ablated) pictures of a run, or why they cannot be shown."""
    try:
        return finals(sweep, run.baseline)[run.index], finals(sweep, run.key)[run.index]
    except (StoreError, OSError) as error:
        return str(error)


def _card(sweep: Sweep, run: AblationRun, pair: Any, gain: int, name: str, values: Mapping[Condition, float]) -> str:
    condition = sweep.runs.conditions[run.condition]
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
