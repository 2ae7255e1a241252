"""The policies page: measured time and quality of validated policies, and the one that a budget recommends."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.data.policy_budget import BudgetChoice, damage_metrics, policy_runs
from dashboard.data.policy_files import FILE_LIMIT, PolicyFile
from dashboard.data.sweep import Sweep
from dashboard.views.policies.budget import (
    Budget,
    BudgetKind,
    choose_kind,
    reason,
    show_budget,
    show_empty_budget,
    uneven_seconds,
)
from dashboard.views.policies.compare_pictures import show_comparison
from dashboard.views.policies.frontier_chart import PICKED, frontier_chart
from dashboard.views.policies.policy_details import show_policy
from dashboard.views.policies.quality_axes import (
    SECONDS,
    SPEEDUP,
    TIME_AXES,
    QualityAxis,
    TimeAxis,
    measured_qualities,
)
from dashboard.views.policies.validation_tables import policy_rows
from dashboard.widgets import choices
from dashboard.widgets.cached_chart import cached_chart
from dashboard.widgets.page_template import render_page
from dashboard.widgets.panels import note, panel, section
from dashboard.widgets.tables import table
from dashboard.words.formatting import path_argument

_RECOMMENDED = ""  # the token of the choice "recommended"
_NO_DAMAGE = (
    "Full compute is the reference of damage, 0 by definition. Full compute with fewer steps has none: it "
    "uses other noise and makes other pictures, so there is nothing to compare it with, picture by picture: a dotted "
    "line marks its time alone. Choose prompt fidelity or KID to see all three."
)


def show(sweep: Sweep) -> None:
    """Show the page."""
    files = sweep.policies
    if not files:
        first = path_argument(sweep.path / "policies" / "first.json")
        panel(
            "No policies yet",
            "A policy says what to skip at which step. This command searches the sweep for one of damage 0.01 at most:",
            command=f"skipscope recommend {path_argument(sweep.path)} --max-damage 0.01 -o {first}",
        )
        return
    validated = [file for file in files if file.validated]
    if validated:
        _show_validated(sweep, validated)
    else:
        panel("No validated policy yet", "Only policies that were validated are offered; validate one of these.")
    _show_others(sweep, files)


def _show_validated(sweep: Sweep, files: Sequence[PolicyFile]) -> None:
    runs = policy_runs(files)
    metrics = damage_metrics(runs)
    left, right = st.columns(2, gap="large")
    with left:
        kind = choose_kind(next(iter(metrics), None))
        quality = _show_quality_choice(measured_qualities(runs, metrics), kind)
    metric = quality.name if quality and quality.measure == "damage" else next(iter(metrics), None)
    with right:
        uneven = uneven_seconds(files)
        time = choices.segments(
            "time",
            "Time",
            TIME_AXES,
            token=lambda axis: axis.token,
            format_func=lambda axis: axis.label,
            default=SPEEDUP if uneven and kind == "damage" else SECONDS,
        )
    with left:
        budget = show_budget(files, kind, metric)
    choice = budget.choice
    with right:
        chosen = _show_policy_choice(files, choice)
    if choice.recommended is None and choice.nearest is not None:
        show_empty_budget(budget, _name(choice.nearest))
    if quality is not None:
        _show_frontier(sweep, files, time, quality, chosen, budget)
    with st.expander(f"All {len(files)} validated policies in numbers"):
        table(policy_rows(files, metric), name="policies")
    if chosen is not None:
        title = "Recommended" if chosen is choice.recommended else "Chosen"
        if chosen is not choice.recommended and choice.recommended is not None:
            text = f"{_name(chosen)} was chosen; the budget recommends {_name(choice.recommended)}."
            choices.way_back(text, "Show the recommended policy", "policy")
        show_policy(sweep, chosen, f"{title}: {_name(chosen)}", reason(chosen, budget))
    show_comparison(sweep, files, chosen)


def _show_quality_choice(axes: list[QualityAxis], kind: BudgetKind) -> QualityAxis | None:
    """Let the user choose the quality; a budget of damage opens on damage, where it can be drawn."""
    if not axes:
        note("No quality was measured in these validations.")
        return None
    damage = next((axis for axis in axes if axis.measure == "damage"), None)
    return choices.select(
        "quality",
        "Quality",
        axes,
        token=lambda axis: axis.token,
        format_func=lambda axis: axis.label,
        default=damage if kind == "damage" else axes[0],
    )


def _show_policy_choice(files: Sequence[PolicyFile], choice: BudgetChoice) -> PolicyFile | None:
    """Return the policy to show in detail: the recommended one unless another was chosen."""
    by_stem = {file.stem: file for file in files}
    recommended = "nothing is within the budget" if choice.recommended is None else _name(choice.recommended)

    def label(stem: str) -> str:
        return f"Recommended: {recommended}" if stem == _RECOMMENDED else _name(by_stem[stem])

    stem = choices.select("policy", "Policy", [_RECOMMENDED, *by_stem], format_func=label)
    return choice.recommended if stem == _RECOMMENDED else by_stem[stem]


def _name(file: PolicyFile) -> str:
    """Return a policy's name, followed by the file's if it differs."""
    assert file.policy is not None, "a policy that cannot be read is not offered"
    return file.policy.name if file.policy.name == file.stem else f"{file.policy.name} ({file.stem})"


def _show_frontier(
    sweep: Sweep,
    files: Sequence[PolicyFile],
    time: TimeAxis,
    quality: QualityAxis,
    chosen: PolicyFile | None,
    budget: Budget,
) -> None:
    section(
        "Time against quality",
        help="A click on a point shows its policy. Lines are 95% intervals. The dashed line is the budget, the shaded "
        "region what it allows.",
    )
    stem = "" if chosen is None else chosen.stem
    event = cached_chart(
        "frontier",
        lambda palette: frontier_chart(files, time, quality, stem, palette, budget),
        sweep,
        time.token,
        quality.token,
        stem,
        budget.text,
        select=True,
        alt_text="Measured time against quality of each policy",
    )
    if quality.measure == "damage":
        note(_NO_DAMAGE)
    if (time is SECONDS or budget.kind == "seconds") and (uneven := uneven_seconds(files)):
        note(uneven)
    picked = (event.selection.get(PICKED) or [{}])[0].get("stem") if event else None
    if picked != st.session_state.get(PICKED):  # a new click, not the one of an earlier run
        st.session_state[PICKED] = picked
        if picked in {file.stem for file in files} and picked != stem:
            choices.set_choice("policy", picked, _RECOMMENDED)
            st.rerun()


def _show_others(sweep: Sweep, files: Sequence[PolicyFile]) -> None:
    """Show the files that are not offered, each with the reason."""
    not_validated = [file for file in files if file.policy is not None and not file.validated]
    unreadable = [file for file in files if file.policy is None]
    if not_validated:
        section("Not validated", help="Found by a search, but not yet run beside full compute on other prompts.")
        for file in not_validated:
            note(f"{_name(file)}: not validated. This command does it:")
            path = path_argument(sweep.path / "policies" / f"{file.stem}.json")
            st.code(f"skipscope validate {path}", language="shell", wrap_lines=True)
    if unreadable:
        section("Files that are no policies")
        for file in unreadable:
            panel(f"{file.stem}.json", file.problem, tone="bad")
    if len(files) == FILE_LIMIT:
        note(f"The first {FILE_LIMIT} files by name are read.")


if __name__ == "__main__":
    render_page("What can be saved, at which loss: measured beside full compute and beside fewer steps.", show)
