"""Analyses of the damage: what one observes of a component beside what it causes, and which prompts are fragile."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from compute.analysis.impact.ablation_impact import Impact
from compute.analysis.impact.fragile_prompts import PromptMatrix, prompt_matrix
from compute.analysis.impact.observed_change import ObservedChange
from compute.analysis.report.analysis_sentences import observed_change_sentence, prompts_sentence
from dashboard.charts.color_scale import ColorScale
from dashboard.data.analyses import observed_change_of
from dashboard.data.sweep import Sweep
from dashboard.theme.palette import Figure, Palette
from dashboard.views.analyses import analysis_charts as charts
from dashboard.widgets import choices
from dashboard.widgets.cached_chart import cached_chart
from dashboard.widgets.panels import note, panel, section, sentence_list
from dashboard.widgets.tables import table
from dashboard.words.component_labels import ablated_label
from dashboard.words.formatting import window_label
from dashboard.words.metric_labels import scale_label
from store.errors import SkipscopeError

_OBSERVED_HELP = (
    "Observed: how far the predicted picture moves in the first step without the component, which one evaluation of "
    "the network shows. Causal: the damage of the final picture. Methods that skip what changes little assume that "
    "both agree."
)
_PROMPTS_HELP = "The mean over all components that were removed in a window, for each condition by itself."


def show_observed_change(sweep: Sweep, impact: Impact) -> None:
    """Show the change of the prediction at once beside the damage at the end, in one window."""
    section("What one sees and what it causes", help=_OBSERVED_HELP)
    if impact.scale != "damage":
        note("Choose a metric that is a damage; this one is not a distance to the baseline.")
        return
    window = choices.select("window", "Window", impact.main_windows, format_func=window_label)
    try:
        change = observed_change_of(sweep, impact.metric, window)
    except SkipscopeError as error:
        panel("Nothing to compare", str(error))
        return
    sentence_list([observed_change_sentence(change)])
    cached_chart(
        "observed and causal",
        lambda palette: charts.observed_chart(change, scale_label(impact), palette),
        sweep,
        impact.metric,
        str(window),
        alt_text="The change of the prediction at once against the damage at the end, of each component",
    )
    with st.expander("All of them in numbers, the greatest disagreement first"):
        table(_observed_rows(change), name="observed-and-causal", height=300)


def _observed_rows(change: ObservedChange) -> list[dict[str, Any]]:
    rows = [
        {
            "Component": ablated_label(ablation.ablation.components).full,
            "Observed change": observed,
            "Damage": causal,
            "Ranks apart (%)": 100 * gap,
            "Action": str(ablation.ablation.action),
            "Module path": ablated_label(ablation.ablation.components).path,
        }
        for ablation, observed, causal, gap in zip(
            change.ablations, change.observed, change.causal, change.rank_gaps, strict=True
        )
    ]
    return sorted(rows, key=lambda row: -abs(float(row["Ranks apart (%)"])))


def show_fragile_prompts(sweep: Sweep, impact: Impact) -> None:
    """Show which conditions the ablations change most."""
    section("Which prompts are fragile", help=_PROMPTS_HELP)
    matrix, title = prompt_matrix(impact), scale_label(impact)
    sentence_list([prompts_sentence(matrix, title.lower())])
    cached_chart(
        "prompts",
        lambda palette: _prompt_chart(matrix, impact, title, palette),
        sweep,
        impact.metric,
        alt_text=f"Mean {title.lower()} of each condition in each window, the most fragile first",
    )
    with st.expander("The numbers"):
        table(_prompt_rows(matrix), name="prompts", height=300)


def _prompt_chart(matrix: PromptMatrix, impact: Impact, title: str, palette: Palette) -> Figure:
    values = [float(value) for value in matrix.values.reshape(-1) if np.isfinite(value)]
    return charts.prompt_chart(matrix, ColorScale.of(values, impact.scale, impact.higher_is_worse, palette), title)


def _prompt_rows(matrix: PromptMatrix) -> list[dict[str, Any]]:
    return [
        {
            "Prompt": condition.prompt,
            "Seed": condition.seed,
            "Mean": _number(mean),
            **{window_label(window): _number(value) for window, value in zip(matrix.windows, row, strict=True)},
        }
        for condition, mean, row in zip(matrix.conditions, matrix.means, matrix.values, strict=True)
    ]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
