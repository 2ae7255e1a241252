"""The policies page: measured time and quality of validated policies, and the one that a budget recommends."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.data.policy_budget import (
    DEFAULT_BUDGET,
    BudgetChoice,
    budget_options,
    choose_within,
    damage_by,
    damage_metrics,
    policy_runs,
)
from dashboard.data.policy_files import FILE_LIMIT, PolicyFile
from dashboard.data.sweep import Sweep
from dashboard.views.policies.frontier_chart import PICKED, frontier_chart
from dashboard.views.policies.policy_details import show_policy
from dashboard.views.policies.quality_axes import (
    TIME_AXES,
    QualityAxis,
    TimeAxis,
    measured_qualities,
)
from dashboard.views.policies.validation_tables import policy_rows
from dashboard.widgets import choices
from dashboard.widgets.cached_chart import cached_chart
from dashboard.widgets.escaping import escape_markdown
from dashboard.widgets.page_template import render_page
from dashboard.widgets.panels import note, panel, section
from dashboard.widgets.tables import table
from dashboard.words.explanations import damage_explanation
from dashboard.words.formatting import path_argument
from dashboard.words.metric_labels import metric_in_sentence

_RECOMMENDED = ""  # the token of the choice "recommended"
_NO_DAMAGE = (
    "Full compute is the reference of damage, 0 by definition. Full compute with fewer steps is not in this chart: it "
    "uses other noise and makes other pictures, so there is nothing to compare it with, picture by picture. Choose "
    "prompt fidelity or KID to see all three."
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
        time = choices.segments(
            "time", "Time", TIME_AXES, token=lambda axis: axis.token, format_func=lambda axis: axis.label
        )
    with right:
        quality = _show_quality_choice(measured_qualities(runs, metrics))
    metric = quality.name if quality and quality.measure == "damage" else next(iter(metrics), None)
    with left:
        choice, budget = _show_budget(files, metric)
    with right:
        chosen = _show_policy_choice(files, choice)
    if metric is not None and choice.fastest is None:
        _show_empty_budget(choice, metric, budget)
    if quality is not None:
        _show_frontier(sweep, files, time, quality, chosen)
    with st.expander(f"All {len(files)} validated policies in numbers"):
        table(policy_rows(files, metric), name="policies")
    if chosen is not None:
        title = "Recommended" if chosen is choice.fastest else "Chosen"
        if chosen is not choice.fastest and choice.fastest is not None:
            text = f"{_name(chosen)} was chosen; the budget recommends {_name(choice.fastest)}."
            choices.way_back(text, "Show the recommended policy", "policy")
        show_policy(sweep, chosen, f"{title}: {_name(chosen)}", _reason(chosen, choice, metric, budget))


def _show_quality_choice(axes: list[QualityAxis]) -> QualityAxis | None:
    if not axes:
        note("No quality was measured in these validations.")
        return None
    return choices.select(
        "quality", "Quality", axes, token=lambda axis: axis.token, format_func=lambda axis: axis.label
    )


def _show_budget(files: Sequence[PolicyFile], metric: str | None) -> tuple[BudgetChoice, float]:
    """Return what the chosen budget of damage allows, and the budget."""
    if metric is None:
        note("No damage was measured in these validations, so there is no budget to keep.")
        return BudgetChoice(fastest=None, least_harmful=None), 0.0
    options = budget_options(files, metric, st.query_params.get("budget"))
    satisfied = [value for value in options if choose_within(files, metric, value).fastest is not None]
    budget = choices.slider(
        "budget",
        f"Budget: the greatest mean damage by {escape_markdown(metric_in_sentence(metric))}",
        options,
        token=lambda value: f"{value:g}",
        format_func=lambda value: f"{value:g}",
        default=min(satisfied or options, key=lambda value: abs(value - DEFAULT_BUDGET)),
        help=damage_explanation("full compute's picture of the same noise"),
        resets=["policy"],
    )
    return choose_within(files, metric, budget), budget


def _show_policy_choice(files: Sequence[PolicyFile], choice: BudgetChoice) -> PolicyFile | None:
    """Return the policy to show in detail: the recommended one unless another was chosen."""
    by_stem = {file.stem: file for file in files}
    recommended = "nothing is within the budget" if choice.fastest is None else _name(choice.fastest)

    def label(stem: str) -> str:
        return f"Recommended: {recommended}" if stem == _RECOMMENDED else _name(by_stem[stem])

    stem = choices.select("policy", "Policy", [_RECOMMENDED, *by_stem], format_func=label)
    return choice.fastest if stem == _RECOMMENDED else by_stem[stem]


def _name(file: PolicyFile) -> str:
    """Return a policy's name, followed by the file's if it differs."""
    assert file.policy is not None, "a policy that cannot be read is not offered"
    return file.policy.name if file.policy.name == file.stem else f"{file.policy.name} ({file.stem})"


def _show_empty_budget(choice: BudgetChoice, metric: str, budget: float) -> None:
    least = choice.least_harmful
    damage = None if least is None else damage_by(least, metric)
    assert least is not None and damage is not None, "a budget is asked for only if damage was measured"
    panel(
        "No policy is within this budget",
        f"The budget is {budget:g} by {metric_in_sentence(metric)}. The least damage of a validated policy is "
        f"{damage:.3g}: {_name(least)}. Raise the budget, or search for a gentler policy.",
    )


def _reason(chosen: PolicyFile, choice: BudgetChoice, metric: str | None, budget: float) -> str:
    if chosen is not choice.fastest or metric is None:
        return "Not what the budget recommends; it is shown because it was chosen."
    text = f"The fastest validated policy whose mean damage by {metric_in_sentence(metric)} is at most {budget:g}."
    assert chosen.policy is not None and chosen.policy.validation is not None
    if chosen.policy.validation.policy.damage[metric].high > budget:
        text += " Its interval reaches beyond the budget."
    return text


def _show_frontier(
    sweep: Sweep, files: Sequence[PolicyFile], time: TimeAxis, quality: QualityAxis, chosen: PolicyFile | None
) -> None:
    section("Time against quality", help="A click on a point shows its policy. Lines are 95% intervals.")
    stem = "" if chosen is None else chosen.stem
    event = cached_chart(
        "frontier",
        lambda palette: frontier_chart(files, time, quality, stem, palette),
        sweep,
        time.token,
        quality.token,
        stem,
        select=True,
        alt_text="Measured time against quality of each policy",
    )
    if quality.measure == "damage":
        note(_NO_DAMAGE)
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
