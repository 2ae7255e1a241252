"""The cards of an ablation's conditions: the baseline, the ablated picture, and where they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from compute.analysis.impact.ablation_impact import Impact
from dashboard.data.ablation_runs import AblationRun
from dashboard.data.checked_units import DamagedShard
from dashboard.data.impact_cells import values_by_condition
from dashboard.data.sweep import Sweep
from dashboard.data.unit_data import final_pictures, stage_inputs
from dashboard.theme.browser_theme import shown_palette
from dashboard.widgets import choices
from dashboard.widgets.difference_pictures import difference_pixels, distance_map, gain_for
from dashboard.widgets.images import data_url, pixels_of
from dashboard.widgets.panels import damaged_panel, section
from dashboard.widgets.picture_cards import Shot, card, card_grid
from dashboard.words.formatting import number_text
from dashboard.words.metric_labels import in_sentence, scale_label
from store.errors import StoreError
from store.records import Ablation, Condition

_MAX_CONDITIONS = 24  # shown at once


def show_conditions(sweep: Sweep, impact: Impact | None, ablation: Ablation) -> None:
    """Show a card for each condition of an ablation, or for those with a right baseline."""
    section(
        "Every condition",
        help="Left: the baseline, with everything computed. Middle: the same prompt, seed and noise with the ablation. "
        "Right: where the two differ; the more they do, the more a pixel contrasts with the background.",
    )
    runs = _selected_runs(_judged_runs(sweep, sweep.runs.by_ablation[ablation]))
    pairs: list[tuple[AblationRun, Any]] = [(run, _final_pair(sweep, run)) for run in runs]
    damaged_panel([pair for _, pair in pairs if isinstance(pair, DamagedShard)])
    gain = gain_for([distance_map(pair[1], pair[0]) for _, pair in pairs if not isinstance(pair, Exception)])
    values = values_by_condition(impact, ablation) if impact else {}
    name = scale_label(impact) if impact else ""
    st.html(card_grid([_condition_card(sweep, run, pair, gain, name, values) for run, pair in pairs]))


def _judged_runs(sweep: Sweep, runs: Sequence[AblationRun]) -> Sequence[AblationRun]:
    """Return all runs, or those with a right baseline; asks where a judge found some of them right and some wrong."""
    verdicts = [sweep.verdicts.get((run.baseline, run.index)) for run in runs]
    right = [run for run, verdict in zip(runs, verdicts, strict=True) if verdict]
    if len(right) in (0, len(runs)):
        return runs
    labels = {"all": f"All {len(runs)}", "right": f"Only the {len(right)} with a right baseline"}
    help = "A baseline that does not show its prompt says little about what the ablation does to a right one."
    choice = choices.segments("baselines", "Conditions", list(labels), format_func=labels.__getitem__, help=help)
    return right if choice == "right" else runs


def _selected_runs(runs: Sequence[AblationRun]) -> Sequence[AblationRun]:
    """Return the runs to show: all, or those of a range of conditions that the user selects."""
    if len(runs) <= _MAX_CONDITIONS:
        return runs
    start = choices.select(
        "shown",
        "Conditions shown",
        list(range(0, len(runs), _MAX_CONDITIONS)),
        format_func=lambda i: f"{i + 1} to {min(i + _MAX_CONDITIONS, len(runs))} of {len(runs)}",
    )
    return runs[start : start + _MAX_CONDITIONS]


def _final_pair(sweep: Sweep, run: AblationRun) -> Any:
    """Return a run's final pictures, (baseline, ablated), or the error that prevents it."""
    try:
        return final_pictures(sweep, run.baseline)[run.index], final_pictures(sweep, run.key)[run.index]
    except (StoreError, OSError) as error:
        return error


def _condition_card(
    sweep: Sweep, run: AblationRun, pair: Any, gain: int, name: str, values: Mapping[Condition, float]
) -> str:
    """Return the card of a condition; `name` is what `values` are called."""
    condition = sweep.runs.conditions[run.condition]
    details = f"Seed {condition.seed}, guidance {condition.guidance:g}"
    if condition in values:
        details += f" · {in_sentence(name)} {number_text(values[condition])}"
    if isinstance(pair, DamagedShard):
        return card([], condition.prompt, f"{details}. Its shard is damaged.")
    if isinstance(pair, Exception):
        return card([], condition.prompt, f"{details}. Cannot be read: {pair}")
    baseline, ablated = pair
    difference = difference_pixels(distance_map(ablated, baseline), gain, shown_palette())
    shots = [
        (Shot(source=data_url(pixels_of(baseline)), alt=f"Baseline: {condition.prompt}"), "Baseline"),
        (Shot(source=data_url(pixels_of(ablated)), alt=f"Ablated: {condition.prompt}"), "Ablated"),
        (Shot(source=data_url(difference), alt="Difference"), f"Difference ×{gain}"),
    ]
    given = stage_inputs(sweep, run.baseline)
    if given is not None:
        source = data_url(given[run.index], thumbnail=True)
        shots.insert(0, (Shot(source=source, alt=f"Given: {condition.prompt}"), "Given"))
    right = sweep.verdicts.get((run.baseline, run.index))
    return card(shots, condition.prompt, details, baseline_right=right)
