"""The phases page: when composition ends and denoising begins, and the evidence for it."""

from __future__ import annotations

import streamlit as st

from compute.analysis.phases.phase_evidence import Phases, SwitchCurve
from compute.analysis.report.phase_sentences import by_importance, interval_sentence, phase_sentences
from dashboard.data.checked_units import DamagedShard
from dashboard.data.sweep import Sweep
from dashboard.data.unit_data import trajectory
from dashboard.views.phases import phase_charts as charts
from dashboard.views.phases.boundary_table import agreement_note, boundary_rows
from dashboard.views.phases.trajectory_frames import trajectory_frames
from dashboard.widgets import choices
from dashboard.widgets.cached_chart import cached_chart
from dashboard.widgets.page_template import render_page
from dashboard.widgets.panels import damaged_panel, note, panel, section, sentence_list
from dashboard.widgets.picture_cards import baseline_mark
from dashboard.widgets.tables import table
from dashboard.words.formatting import condition_label
from dashboard.words.metric_labels import evidence_label
from store.errors import SkipscopeError
from store.records import Condition

_SWITCH_SETTING = "prompt_switch:\n  every: 1"
_OBSERVED_HELP = (
    "At each step the model predicts the final picture. The prediction is split into coarse shapes (low-pass) and fine "
    "detail (high-pass), and each is compared with the same part of the final picture. A triangle marks a curve's "
    "change point, the bar its interval."
)
_CAUSAL_HELP = (
    "The prompt is replaced by another one from some step on. If the final picture obeys the other prompt, what it "
    "shows was not decided before that step; if it obeys the first, it was. Where the curves cross, composition ends."
)


def show(sweep: Sweep) -> None:
    """Show the page."""
    verdict = st.container()  # above the choices, whose values its sentences need
    left, right = st.columns(2, gap="large")
    with right:
        only_right = _choose_baselines(sweep)
    phases = sweep.phases(only_right=only_right)
    with left:
        curve = _choose_evidence(phases)
        phases = phases.judged_by(curve.evidence) if curve else phases
    with verdict:
        sentence_list([*phase_sentences(phases), interval_sentence(phases)])
    if only_right:
        narrowed = f"Only the {phases.conditions} conditions whose baseline shows what its prompt says."
        choices.way_back(narrowed, "Show all conditions", "baselines")
    selection = (phases.evidence, str(only_right))
    _show_observed(sweep, phases, selection)
    _show_causal(sweep, phases, curve, selection)
    _show_film_strip(sweep, phases, selection)
    section("Boundaries by evidence")
    steps = {name: st.column_config.NumberColumn(format="%.1f") for name in ("Step", "95% from", "95% to")}
    share = {"Share of run (%)": st.column_config.NumberColumn(format="%.0f")}
    table(boundary_rows(phases), name="boundaries", columns=steps | share)
    if agreement := agreement_note(phases):
        note(agreement)


def _choose_baselines(sweep: Sweep) -> bool:
    """Return whether only conditions with a right baseline are shown; asks where a judge found some of them wrong."""
    verdicts = list(sweep.verdicts.values())
    right = sum(verdicts)
    if right in (0, len(verdicts)):
        return False
    labels = {"all": f"All {len(verdicts)}", "right": f"Only the {right} with a right baseline"}
    help = "A baseline that does not show its prompt obeys none, whenever it is switched: it keeps the curves down."
    return (
        choices.segments("baselines", "Conditions", list(labels), format_func=labels.__getitem__, help=help) == "right"
    )


def _choose_evidence(phases: Phases) -> SwitchCurve | None:
    """Return the causal evidence to judge by, or None without any."""
    if not phases.causal:
        return None
    by_name = {curve.evidence: curve for curve in phases.causal}
    names = by_importance(by_name)
    evidence = choices.segments(
        "evidence",
        "The prompt is obeyed, judged by",
        names,
        format_func=evidence_label,
        default=phases.evidence if phases.evidence in names else names[0],
    )
    return by_name[evidence]


def _show_observed(sweep: Sweep, phases: Phases, selection: tuple[str, ...]) -> None:
    section("One axis, two kinds of evidence", help="The dashed line is the boundary, the band its 95% interval.")
    if phases.boundary is not None:
        cached_chart(
            "ribbon",
            lambda palette: charts.phase_ribbon(phases, palette),
            sweep,
            *selection,
            alt_text="The phases on the step axis",
        )
    if phases.observed:
        st.markdown("**Observed:** how the predicted picture approaches the final one", help=_OBSERVED_HELP)
        cached_chart(
            "observed",
            lambda palette: charts.observed_chart(phases, palette),
            sweep,
            *selection,
            alt_text="How far coarse shapes and fine detail are at each step",
        )


def _baselines(sweep: Sweep) -> dict[Condition, tuple[str, int]]:
    """Return, for each condition, its baseline's key and its position in that unit's batch."""
    baselines: dict[Condition, tuple[str, int]] = {}
    for unit in sweep.header.plan:
        if unit.role == "baseline":
            for index, condition in enumerate(unit.conditions):
                baselines.setdefault(condition, (unit.key, index))
    return baselines


def _show_causal(sweep: Sweep, phases: Phases, curve: SwitchCurve | None, selection: tuple[str, ...]) -> None:
    if curve is None:
        panel("No causal evidence in this sweep", phases.missing)
        if not any(unit.role == "switch" for unit in sweep.header.plan):
            note("Add this to the sweep's configuration and run the same command again; it runs only the new units:")
            st.code(_SWITCH_SETTING, language="yaml")
        return
    st.markdown("**Causal:** which prompt the picture obeys if it is switched during sampling", help=_CAUSAL_HELP)
    cached_chart(
        "causal",
        lambda palette: charts.causal_chart(curve, phases, palette),
        sweep,
        *selection,
        alt_text="The share of pictures that obey each prompt, by the step of the switch",
    )
    if phases.moved:
        cached_chart(
            "moved",
            lambda palette: charts.damage_chart(phases, palette),
            sweep,
            *selection,
            alt_text="Damage of a switch of the prompt, by its step",
        )


def _show_film_strip(sweep: Sweep, phases: Phases, selection: tuple[str, ...]) -> None:
    st.markdown("**One trajectory:** the final picture as predicted at each step")
    baselines = _baselines(sweep)
    conditions = list(baselines)
    number = choices.select(
        "condition", "Trajectory shown", range(len(conditions)), format_func=lambda i: condition_label(conditions[i])
    )
    key, index = baselines[conditions[number]]
    if (right := sweep.verdicts.get((key, index))) is not None:
        note(f"{baseline_mark(right)}.")
    try:
        kept = trajectory(sweep, key, index, "pred_x0")
    except DamagedShard as error:
        damaged_panel([error])
        return
    except (SkipscopeError, OSError) as error:
        panel("This trajectory cannot be read", str(error), tone="bad")
        return
    if not kept.steps:
        panel("No film strip", "This sweep kept final pictures only; keep pred_x0 to see a trajectory.")
        return
    cached_chart(
        "strip",
        lambda palette: charts.film_strip(trajectory_frames(kept.states, kept.steps), phases, palette),
        sweep,
        *selection,
        key,
        str(index),
        alt_text="Predicted pictures at some steps, on the step axis",
    )


if __name__ == "__main__":
    render_page("When the picture is composed, when it is only denoised, and the evidence for it.", show)
