"""Overview: what was swept, how far it is, and what it shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from compute.analysis.impact.ablation_impact import Impact, NoImpact
from compute.analysis.impact.group_curves import by_kind, mean_impact
from dashboard.charts.group_chart import group_curves
from dashboard.data.sweep import Sweep
from dashboard.data.unit_data import finals
from dashboard.pages.overview.sweep_facts import facts_of
from dashboard.pages.overview.sweep_state import state_of
from dashboard.pages.overview.window_chart import mean_by_window
from dashboard.theme.palette import Figure, Palette
from dashboard.widgets import panels as content
from dashboard.widgets.cached_chart import drawn
from dashboard.widgets.images import pixels_of, source_of
from dashboard.widgets.page_template import page
from dashboard.widgets.picture_cards import Shot, card, cards
from dashboard.words.component_labels import kind_name, metric_label, scale_label
from store.errors import StoreError

_PICTURES = 12
_METRIC = "mse"


def show(sweep: Sweep) -> None:
    """State, findings, pictures, facts, metrics."""
    state_of(sweep)
    _findings(sweep)
    _pictures(sweep)
    content.section("What was swept, with what")
    content.facts(facts_of(sweep))
    _metrics(sweep)


def _findings(sweep: Sweep) -> None:
    names = sweep.metrics
    if not names:
        return
    try:
        impact = sweep.impact(_METRIC if _METRIC in names else names[0])
    except NoImpact as reason:
        content.section("Findings")
        content.note(f"Not yet: {reason}.")
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        content.section(
            "Findings",
            help="In brackets the 95% interval over conditions. Damage is the distance to the baseline, divided by the "
            "distance between two seeds of the same prompt: 0 is the same picture, 1 is as different as another seed.",
        )
        *said, caution = sweep.findings(impact.metric)
        content.findings(said)
        content.note(caution)
    with right:
        content.section(
            f"Mean {scale_label(impact).lower()} in each window",
            help="The mean over all components that were removed in a window of steps, with its 95% interval.",
        )
        _by_window(sweep, impact)
        _by_kind(sweep, impact)


def _by_window(sweep: Sweep, impact: Impact) -> None:
    def bars(palette: Palette) -> Figure:
        main = impact.only(windows=impact.main_windows)
        parts = [main.only(windows=(window,)) for window in main.windows]
        return mean_by_window(
            main.windows,
            [mean_impact(part) for part in parts],
            [len(part.ablations) for part in parts],
            sweep.steps,
            scale_label(impact),
            palette,
        )

    drawn("mean by window", bars, sweep, impact.metric, alt_text="Mean impact of an ablation in each window of steps")


def _by_kind(sweep: Sweep, impact: Impact) -> None:
    def curves(palette: Palette) -> Figure:
        found = by_kind(impact.only(windows=impact.main_windows))
        names = {curve.group: kind_name(curve.group) for curve in found}
        return group_curves(found, names, sweep.steps, scale_label(impact), palette)

    if len(impact.main_windows) > 1:
        content.section("By kind of component", help="The same for each kind; the page Impact has every component.")
        drawn("kinds", curves, sweep, impact.metric)


def _pictures(sweep: Sweep) -> None:
    present = sweep.store.present("baseline")
    done = [unit for unit in sweep.header.plan if unit.role == "baseline" and unit.key in present]
    shown: list[str] = []
    hidden = 0
    for unit in done:
        for place, condition in enumerate(unit.conditions):
            if len(shown) == _PICTURES:
                hidden += 1
                continue
            try:
                picture = source_of(pixels_of(finals(sweep, unit.key)[place]))
            except (StoreError, OSError) as error:
                shown.append(card([], condition.prompt, f"Cannot be shown: {error}"))
                continue
            shot = Shot(source=picture, alt=condition.prompt)
            shown.append(card([(shot, "")], condition.prompt, f"Seed {condition.seed}"))
    if shown:
        content.section(
            "Conditions, with everything computed",
            help="A condition is a prompt, a seed and a guidance scale. Its picture with every component computed is "
            "the baseline that each of its ablations is compared to.",
        )
        st.html(cards(shown, small=True))
    if hidden:
        content.note(f"And {hidden} more conditions.")


def _metrics(sweep: Sweep) -> None:
    table = sweep.table
    asked = [name for name in sweep.header.config.get("metrics", []) if isinstance(name, str)]
    names = list(dict.fromkeys([*sweep.metrics, *table.metrics, *asked]))
    if not names:
        return
    content.section("Metrics", help="Each metric compares a picture with its baseline, or judges it by its prompt.")
    rows = sorted((_metric_row(sweep, name) for name in names), key=lambda row: row["Measured"] == "no")
    content.table(rows, name="metrics", height=35 * (len(rows) + 1) + 3)


def _metric_row(sweep: Sweep, name: str) -> dict[str, Any]:
    table, info = sweep.table, sweep.table.metrics.get(name)
    reasons = [reason for reason in table.absent.get(name, ()) if reason != "was not measured"]
    measured = info is not None and bool(np.isfinite(table[name]).any())
    return {
        "Metric": metric_label(info) if info else sweep.metric_label(name),
        "Judges": "" if info is None else "distance to the baseline" if info.paired else "picture by its prompt",
        "Better": "" if info is None else info.direction,
        "Measured": "yes" if measured else "no",
        "Why not": "" if measured else "; ".join(reasons[:1]) or "not measured yet",
    }


if __name__ == "__main__":
    page("Overview", "Which parts of the network matter at which step, and what a sweep has found so far.", show)
