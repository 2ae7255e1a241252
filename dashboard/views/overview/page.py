"""The overview page: the state of the sweep, its findings, its conditions, its configuration, its metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from compute.analysis.impact.ablation_impact import Impact
from dashboard.data.checked_units import DamagedShard
from dashboard.data.sweep import Sweep
from dashboard.data.unit_data import final_pictures
from dashboard.data.verdicts import headline_impact, verdicts_of
from dashboard.views.overview.sweep_facts import sweep_facts
from dashboard.views.overview.sweep_state import show_state
from dashboard.views.overview.verdict_cards import show_verdicts
from dashboard.views.overview.window_chart import means_by_kind, means_by_window
from dashboard.views.report.document import report_html
from dashboard.widgets.cached_chart import cached_chart
from dashboard.widgets.images import data_url, pixels_of
from dashboard.widgets.page_template import render_page
from dashboard.widgets.panels import damaged_panel, fact_list, note, panel, section, sentence_list
from dashboard.widgets.picture_cards import Shot, card, card_grid
from dashboard.widgets.tables import table
from dashboard.words.explanations import damage_explanation
from dashboard.words.metric_labels import scale_label
from store.errors import StoreError

_MAX_PICTURES = 12


def show(sweep: Sweep) -> None:
    """Show the page."""
    show_state(sweep)
    impact, why = headline_impact(sweep)
    if verdicts := verdicts_of(sweep, impact):
        show_verdicts(verdicts)
        _show_report_download(sweep)
    if impact is None:
        if why:
            panel("Too early for findings", why)
    else:
        with st.expander("All findings, with their numbers"):
            _show_findings(sweep, impact)
    _show_conditions(sweep)
    with st.expander("What was swept, and by which metrics"):
        section("What was swept")
        fact_list(sweep_facts(sweep))
        _show_metrics(sweep)


def _show_report_download(sweep: Sweep) -> None:
    st.download_button(
        "Download report",
        lambda: report_html(sweep).encode("utf-8"),  # called when the button is pressed
        file_name=f"{sweep.path.name}-report.html",
        mime="text/html",
        icon=":material/description:",
        on_click="ignore",
        help="Verdicts, charts, pictures and policies as one HTML file that works offline: `skipscope report` as well.",
    )


def _show_findings(sweep: Sweep, impact: Impact) -> None:
    coverage = sweep.coverage
    left, right = st.columns([3, 2], gap="large")
    with left:
        section("Findings", help=f"In brackets the 95% interval over conditions. {damage_explanation()}")
        *sentences, caution = sweep.findings(impact.metric)
        if not coverage.complete:
            note(f"From {coverage.done} of {coverage.planned} planned runs: these numbers still move.")
        sentence_list(sentences)
        note(caution)
    with right:
        section(
            f"Mean {scale_label(impact).lower()} in each window",
            help="The mean over all components that were removed in a window of steps, with its 95% interval.",
        )
        _show_means(sweep, impact)


def _show_means(sweep: Sweep, impact: Impact) -> None:
    cached_chart(
        "mean by window",
        lambda palette: means_by_window(impact, sweep.steps, palette),
        sweep,
        impact.metric,
        alt_text="Mean impact of an ablation in each window of steps",
    )
    if len(impact.main_windows) > 1:
        section("By kind of component", help="The same for each kind; the page Impact has every component.")
        cached_chart(
            "kinds",
            lambda palette: means_by_kind(impact, sweep.steps, palette),
            sweep,
            impact.metric,
            alt_text="Mean impact of each kind of component in each window",
        )


def _show_conditions(sweep: Sweep) -> None:
    present = sweep.store.present("baseline")
    baselines = [unit for unit in sweep.header.plan if unit.role == "baseline" and unit.key in present]
    pictures = [(unit.key, index, c) for unit in baselines for index, c in enumerate(unit.conditions)]
    cards: list[str] = []
    damaged: list[DamagedShard] = []
    for key, index, condition in pictures[:_MAX_PICTURES]:
        try:
            source = data_url(pixels_of(final_pictures(sweep, key)[index]))
        except DamagedShard as error:
            damaged.append(error)
            cards.append(card([], condition.prompt, "Its shard is damaged."))
            continue
        except (StoreError, OSError) as error:
            cards.append(card([], condition.prompt, f"Cannot be shown: {error}"))
            continue
        shot = Shot(source=source, alt=condition.prompt)
        right = sweep.verdicts.get((key, index))
        cards.append(card([(shot, "")], condition.prompt, f"Seed {condition.seed}", baseline_right=right))
    if cards:
        section(
            "Conditions, with everything computed",
            help="A condition is a prompt, a seed and a guidance scale. Its picture with every component computed is "
            "the baseline that each of its ablations is compared to.",
        )
        damaged_panel(damaged)
        st.html(card_grid(cards, small=True))
    if len(pictures) > _MAX_PICTURES:
        note(f"And {len(pictures) - _MAX_PICTURES} more conditions.")


def _show_metrics(sweep: Sweep) -> None:
    configured = [name for name in sweep.header.config.get("metrics", []) if isinstance(name, str)]
    names = list(dict.fromkeys([*sweep.metrics, *sweep.table.metrics, *configured]))
    if not names:
        return
    section("Metrics", help="Each metric compares a picture with its baseline, or judges it by its prompt.")
    rows = sorted((_metric_row(sweep, name) for name in names), key=lambda row: row["Measured"] == "no")
    table(rows, name="metrics", height=35 * (len(rows) + 1) + 3)


def _metric_row(sweep: Sweep, name: str) -> dict[str, Any]:
    info = sweep.table.metrics.get(name)
    reasons = [reason for reason in sweep.table.absent.get(name, ()) if reason != "was not measured"]
    measured = info is not None and bool(np.isfinite(sweep.table[name]).any())
    return {
        "Metric": sweep.metric_label(name),
        "Judges": "" if info is None else "distance to the baseline" if info.paired else "picture by its prompt",
        "Better": "" if info is None else info.direction,
        "Measured": "yes" if measured else "no",
        "Why not": "" if measured else "; ".join(reasons[:1]) or "not measured yet",
    }


if __name__ == "__main__":
    render_page("Which parts of the network matter at which step, and what a sweep has found so far.", show)
