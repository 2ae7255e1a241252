"""Policies: what can be saved at which loss, the recommended policy, and how to apply it."""

from __future__ import annotations

import shlex

import streamlit as st

from dashboard.data.policy_files import DEFAULT_BUDGET, FILE_LIMIT, Choice, PolicyFile, budgets, damage_by, within
from dashboard.data.sweep import Sweep
from dashboard.pages.policies import policy_details
from dashboard.pages.policies.frontier_chart import PICKED, frontier_chart
from dashboard.pages.policies.quality_axes import TIMES, Quality, Time, damage_metrics, qualities
from dashboard.pages.policies.validation_sentences import policy_rows
from dashboard.widgets import choices
from dashboard.widgets import panels as content
from dashboard.widgets.cached_chart import drawn
from dashboard.widgets.page_template import page
from dashboard.words.component_labels import metric_words

_RECOMMENDED = ""
_DAMAGE_HELP = (
    "Damage is the distance to full compute's picture of the same noise, divided by the distance between two seeds of "
    "the same prompt: 0 is the same picture, 1 is as different as another seed."
)
_NO_DAMAGE = (
    "Full compute is the reference of damage, 0 by definition. Full compute with fewer steps is not in this chart: it "
    "follows other noise and makes other pictures, so there is nothing to compare it with, picture by picture. Choose "
    "prompt fidelity or KID to see all three."
)


def show(sweep: Sweep) -> None:
    """The page."""
    files = sweep.policies
    if not files:
        first = _path(sweep, "policies/first.json")
        content.panel(
            "No policies yet",
            "A policy says what to skip at which step. This finds one in the sweep's numbers, of damage 0.01 at most:",
            command=f"python -m compute recommend {_path(sweep)} --max-damage 0.01 -o {first}",
        )
        return
    validated = tuple(file for file in files if file.validated)
    if validated:
        _validated(sweep, validated)
    else:
        content.panel(
            "No validated policy yet", "Only policies that were validated are offered; validate one of these."
        )
    _others(sweep, files)


def _validated(sweep: Sweep, files: tuple[PolicyFile, ...]) -> None:
    metrics, known = damage_metrics(files), qualities(files)
    left, right = st.columns(2, gap="large")
    with left:
        time = choices.segments(
            "time", "Time", TIMES, token=lambda time: time.token, show=lambda time: time.label, default=TIMES[0]
        )
    with right:
        quality = _quality(known)
    metric = quality.name if quality and quality.sort == "damage" else next(iter(metrics), None)
    with left:
        choice, budget = _budget(files, metric)
    with right:
        chosen = _chosen(files, choice)
    if metric is not None and choice.fastest is None:
        _nothing_within(choice, metric, budget)
    if quality is not None:
        _frontier(sweep, files, time, quality, chosen)
    with st.expander(f"All {len(files)} validated policies in numbers"):
        content.table(policy_rows(files, metric), name="policies")
    if chosen is not None:
        title = "Recommended" if chosen is choice.fastest else "Chosen"
        policy_details.show(sweep, chosen, f"{title}: {_name(chosen)}", _why(chosen, choice, metric, budget))


def _quality(known: list[Quality]) -> Quality | None:
    if not known:
        content.note("No quality was measured in these validations.")
        return None
    return choices.select(
        "quality", "Quality", known, token=lambda quality: quality.token, show=lambda quality: quality.label
    )


def _budget(files: tuple[PolicyFile, ...], metric: str | None) -> tuple[Choice, float]:
    """What a budget of damage allows, and the budget."""
    if metric is None:
        content.note("No damage was measured in these validations, so there is no budget to keep.")
        return Choice(fastest=None, least=None), 0.0
    options = budgets(files, metric, st.query_params.get("budget"))
    kept = [value for value in options if within(files, metric, value).fastest is not None]
    budget = choices.slider(
        "budget",
        f"Budget: the greatest mean damage by {content.plain(metric_words(metric))}",
        options,
        token=lambda value: f"{value:g}",
        show=lambda value: f"{value:g}",
        default=min(kept or options, key=lambda value: abs(value - DEFAULT_BUDGET)),
        help=_DAMAGE_HELP,
    )
    return within(files, metric, budget), budget


def _chosen(files: tuple[PolicyFile, ...], choice: Choice) -> PolicyFile | None:
    """The policy that the page tells of: the recommended one unless another was chosen."""
    by_stem = {file.stem: file for file in files}
    recommended = "nothing is within the budget" if choice.fastest is None else _name(choice.fastest)

    def label(stem: str) -> str:
        return f"Recommended: {recommended}" if stem == _RECOMMENDED else _name(by_stem[stem])

    stem = choices.select("policy", "Policy", [_RECOMMENDED, *by_stem], show=label)
    return choice.fastest if stem == _RECOMMENDED else by_stem[stem]


def _name(file: PolicyFile) -> str:
    """A policy's own name, with the file's where they differ."""
    assert file.policy is not None, "a policy that can't be read is not offered"
    return file.policy.name if file.policy.name == file.stem else f"{file.policy.name} ({file.stem})"


def _nothing_within(choice: Choice, metric: str, budget: float) -> None:
    least = choice.least
    damage = None if least is None else damage_by(least, metric)
    assert least is not None and damage is not None, "a budget is asked for only where damage was measured"
    content.panel(
        "No policy is within this budget",
        f"The budget is {budget:g} by {metric_words(metric)}. The least damage of a validated policy is {damage:.3g}: "
        f"{_name(least)}. Raise the budget, or search for a gentler policy.",
    )


def _why(chosen: PolicyFile, choice: Choice, metric: str | None, budget: float) -> str:
    if chosen is not choice.fastest or metric is None:
        return "Not what the budget recommends; it is shown because it was chosen."
    text = f"The fastest validated policy whose mean damage by {metric_words(metric)} is at most {budget:g}."
    assert chosen.policy is not None and chosen.policy.validation is not None
    if chosen.policy.validation.policy.damage[metric].high > budget:
        text += " Its interval reaches beyond the budget."
    return text


def _frontier(
    sweep: Sweep, files: tuple[PolicyFile, ...], time: Time, quality: Quality, chosen: PolicyFile | None
) -> None:
    content.section("Time against quality", help="A click on a point shows its policy. Lines are 95% intervals.")
    stem = "" if chosen is None else chosen.stem
    event = drawn(
        "frontier",
        lambda colours: frontier_chart(files, time, quality, stem, colours),
        sweep,
        time.token,
        quality.token,
        stem,
        select=True,
        alt_text="Measured time against quality of each policy",
    )
    if quality.sort == "damage":
        content.note(_NO_DAMAGE)
    picked = (event.selection.get(PICKED) or [{}])[0].get("stem") if event else None
    if picked != st.session_state.get(PICKED):
        st.session_state[PICKED] = picked
        if picked in {file.stem for file in files} and picked != stem:
            choices.put("policy", picked, _RECOMMENDED)
            st.rerun()


def _others(sweep: Sweep, files: tuple[PolicyFile, ...]) -> None:
    """The files that are not offered, each with the reason."""
    waiting = [file for file in files if file.policy is not None and not file.validated]
    broken = [file for file in files if file.policy is None]
    if waiting:
        content.section(
            "Not validated", help="Found by a search, but not yet run beside full compute on other prompts."
        )
        for file in waiting:
            content.note(f"{_name(file)}: not validated. This does it:")
            path = _path(sweep, f"policies/{file.stem}.json")
            st.code(f"python -m compute validate {path}", language="shell", wrap_lines=True)
    if broken:
        content.section("Files that are no policies")
        for file in broken:
            content.panel(f"{file.stem}.json", file.problem, tone="bad")
    if len(files) == FILE_LIMIT:
        content.note(f"The first {FILE_LIMIT} files by name are read.")


def _path(sweep: Sweep, name: str = "") -> str:
    """A path of the store as a shell takes it."""
    return shlex.quote(str(sweep.path / name))


if __name__ == "__main__":
    page("Policies", "What can be saved, at which loss: measured beside full compute and beside fewer steps.", show)
