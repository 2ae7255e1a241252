"""Phases: when the picture is composed, when it is denoised, and how one knows."""

from __future__ import annotations

import streamlit as st

from compute.analysis.phases.phase_evidence import Phases, SwitchCurve
from compute.analysis.report.phase_sentences import by_importance, interval_sentence, phase_sentences
from dashboard.data.sweep import Sweep
from dashboard.data.unit_data import trajectory
from dashboard.pages.phases import phase_charts as charts
from dashboard.pages.phases.boundary_table import boundary_rows, frames
from dashboard.widgets import choices
from dashboard.widgets import panels as content
from dashboard.widgets.cached_chart import drawn
from dashboard.widgets.page_template import page
from dashboard.words.component_labels import condition_label, evidence_label
from store.errors import SkipscopeError
from store.records import Condition

_SWITCH = "prompt_switch:\n  every: 1"
_OBSERVED_HELP = (
    "At each step the model predicts the final picture. Split into coarse shapes (low-pass) and fine detail "
    "(high-pass), each is compared with what the final picture has of it. A triangle marks where a curve turns, its "
    "bar the interval."
)
_CAUSAL_HELP = (
    "The prompt is replaced by another one from some step on. If the final picture obeys the other prompt, what it "
    "shows was not decided before that step; if it obeys the first, it was. Where the curves cross, composition ends."
)


def show(sweep: Sweep) -> None:
    """The page."""
    phases = sweep.phases()
    content.findings([*phase_sentences(phases), interval_sentence(phases)])
    curve, (key, index) = _choices(sweep, phases)
    content.section(
        "One axis, two kinds of evidence", help="The dashed line is the boundary, the band its 95% interval."
    )
    if phases.boundary is not None:
        drawn("ribbon", lambda colours: charts.ribbon(phases, colours), sweep, alt_text="The phases on the step axis")
    if phases.observed:
        st.markdown("**Observed:** how the predicted picture approaches the final one", help=_OBSERVED_HELP)
        drawn(
            "observed",
            lambda colours: charts.observed_chart(phases, colours),
            sweep,
            alt_text="How far coarse shapes and fine detail are at each step",
        )
    _causal(sweep, phases, curve)
    st.markdown("**One trajectory:** what is predicted of the final picture at each step")
    _strip(sweep, phases, key, index)
    content.section("Boundaries by evidence")
    numbers = {name: st.column_config.NumberColumn(format="%.1f") for name in ("Step", "95% from", "95% to")}
    share = {"Share of run (%)": st.column_config.NumberColumn(format="%.0f")}
    content.table(boundary_rows(phases), name="boundaries", columns=numbers | share)


def _choices(sweep: Sweep, phases: Phases) -> tuple[SwitchCurve | None, tuple[str, int]]:
    left, right = st.columns(2, gap="large")
    curve = None
    with left:
        if phases.causal:
            known = by_importance(curve.evidence for curve in phases.causal)
            default = phases.evidence if phases.evidence in known else known[0]
            evidence = choices.segments(
                "evidence", "The prompt is obeyed, judged by", known, show=evidence_label, default=default
            )
            curve = next(curve for curve in phases.causal if curve.evidence == evidence)
    with right:
        places = _places(sweep)
        conditions = list(places)
        number = choices.select(
            "condition", "Trajectory shown", range(len(conditions)), show=lambda at: condition_label(conditions[at])
        )
    return curve, places[conditions[number]]


def _places(sweep: Sweep) -> dict[Condition, tuple[str, int]]:
    """For every condition its baseline's key and its place in the batch."""
    found: dict[Condition, tuple[str, int]] = {}
    for unit in sweep.header.plan:
        if unit.role == "baseline":
            for index, condition in enumerate(unit.conditions):
                found.setdefault(condition, (unit.key, index))
    return found


def _causal(sweep: Sweep, phases: Phases, curve: SwitchCurve | None) -> None:
    if curve is None:
        content.panel("No causal evidence in this sweep", phases.missing)
        if not any(unit.role == "switch" for unit in sweep.header.plan):
            content.note("With this in its configuration, the same command runs again only what is new:")
            st.code(_SWITCH, language="yaml")
        return
    st.markdown("**Causal:** which prompt wins when it is switched on the way", help=_CAUSAL_HELP)
    drawn(
        "causal",
        lambda colours: charts.causal_chart(curve, phases, colours),
        sweep,
        curve.evidence,
        alt_text="The share of pictures that obey each prompt, by the step of the switch",
    )
    if phases.moved:
        drawn(
            "moved",
            lambda colours: charts.moved_chart(phases, colours),
            sweep,
            alt_text="Damage of a switch of the prompt, by its step",
        )


def _strip(sweep: Sweep, phases: Phases, key: str, index: int) -> None:
    try:
        kept = trajectory(sweep, key, index, "pred_x0")
    except (SkipscopeError, OSError) as error:
        content.panel("This trajectory cannot be read", str(error), tone="bad")
        return
    if not kept.steps:
        content.panel("No film strip", "This sweep kept final pictures only; keep pred_x0 to see a trajectory.")
        return
    drawn(
        "strip",
        lambda colours: charts.film_strip(frames(kept.states, kept.steps), phases, colours),
        sweep,
        key,
        str(index),
        alt_text="Predicted pictures at some steps, on the step axis",
    )


if __name__ == "__main__":
    page("Phases", "When the picture is composed, when it is only denoised, and how one knows.", show)
