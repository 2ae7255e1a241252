"""The budget of the policies page: what it is in, how much it is, and what it recommends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import streamlit as st

from dashboard.data.policy_budget import (
    DEFAULT_BUDGET,
    BudgetChoice,
    budget_options,
    choose_in_time,
    choose_within,
    damage_by,
    seconds_of,
    seconds_options,
)
from dashboard.data.policy_files import PolicyFile
from dashboard.views.policies.quality_axes import SECONDS, SPEEDUP, QualityAxis, TimeAxis
from dashboard.widgets import choices
from dashboard.widgets.escaping import escape_markdown
from dashboard.widgets.panels import note, panel
from dashboard.words.explanations import damage_explanation
from dashboard.words.metric_labels import metric_in_sentence

BudgetKind = Literal["damage", "seconds"]
_LABELS: dict[BudgetKind, str] = {"damage": "Damage", "seconds": "Seconds a picture"}

_EVEN = 1.1  # seconds of full compute that differ by less are the same machine's


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A budget of `limit`, in damage by `metric` or in seconds a picture, and what it recommends."""

    kind: BudgetKind
    limit: float
    metric: str | None
    choice: BudgetChoice

    @property
    def text(self) -> str:
        """The budget within a sentence."""
        if self.kind == "seconds":
            return f"{self.limit:g} seconds a picture"
        return f"damage {self.limit:g}" + (f" by {metric_in_sentence(self.metric)}" if self.metric else "")

    def limit_on(self, axis: TimeAxis | QualityAxis, full_seconds: float) -> float | None:
        """Return the budget's place on an axis, or None where it has none; `full_seconds` are full compute's."""
        if isinstance(axis, QualityAxis):
            fits = self.kind == "damage" and axis.measure == "damage" and axis.name == self.metric
            return self.limit if fits else None
        if self.kind != "seconds":
            return None
        return self.limit if axis is SECONDS else full_seconds / self.limit if axis is SPEEDUP and self.limit else None


def choose_kind(metric: str | None) -> BudgetKind:
    """Let the user choose what the budget is in; without a measured damage it is in seconds."""
    kinds: list[BudgetKind] = ["damage", "seconds"] if metric is not None else ["seconds"]
    return choices.segments("budget_in", "Budget in", kinds, format_func=lambda kind: _LABELS[kind])


def show_budget(files: Sequence[PolicyFile], kind: BudgetKind, metric: str | None) -> Budget:
    """Show the budget's slider, and return the budget; moving it forgets a policy that was chosen by hand."""
    if kind == "damage" and metric is not None:
        options = budget_options(files, metric, st.query_params.get("budget"))
        kept = [value for value in options if choose_within(files, metric, value).recommended is not None]
        limit = choices.slider(
            "budget",
            f"The greatest mean damage by {escape_markdown(metric_in_sentence(metric))}",
            options,
            token=lambda value: f"{value:g}",
            format_func=lambda value: f"{value:g}",
            default=min(kept or options, key=lambda value: abs(value - DEFAULT_BUDGET)),
            help=damage_explanation("full compute's picture of the same noise"),
            resets=["policy"],
        )
        return Budget(kind=kind, limit=limit, metric=metric, choice=choose_within(files, metric, limit))
    options = seconds_options(files, st.query_params.get("budget_seconds"))
    limit = choices.slider(
        "budget_seconds",
        "The most seconds a picture",
        options,
        token=lambda value: f"{value:g}",
        format_func=lambda value: f"{value:g}",
        default=options[len(options) // 2],
        help="As measured by the validations; see below on which hardware.",
        resets=["policy"],
    )
    if metric is None:
        note("No damage was measured in these validations: the slowest policy within the budget is recommended.")
    return Budget(kind="seconds", limit=limit, metric=metric, choice=choose_in_time(files, metric, limit))


def uneven_seconds(files: Sequence[PolicyFile]) -> str:
    """Return why seconds of these validations cannot be compared, or "" where full compute took them as long."""
    validations = [file.policy.validation for file in files if file.policy and file.policy.validation]
    full = [run.seconds_per_picture for validation in validations if (run := validation.run("full")) is not None]
    if not full or max(full) <= _EVEN * min(full):
        return ""
    return (
        f"Full compute took from {min(full):.3g} to {max(full):.3g} seconds a picture in these validations, so they "
        "ran on machines or at times of different speed: compare speedups, each of which was measured in turn."
    )


def show_empty_budget(budget: Budget, name: str) -> None:
    """Say that no policy keeps the budget, and which comes nearest; `name` is that policy's."""
    nearest = budget.choice.nearest
    if nearest is None:
        return
    if budget.kind == "seconds":
        least = f"The fastest validated policy takes {seconds_of(nearest):.3g} seconds: {name}"
        advice = "Raise the budget, or search for a faster policy."
    else:
        damage = damage_by(nearest, budget.metric or "")
        least = f"The least damage of a validated policy is {damage:.3g}: {name}"
        advice = "Raise the budget, or search for a gentler policy."
    panel("No policy is within this budget", f"The budget is {budget.text}. {least}. {advice}")


def reason(chosen: PolicyFile, budget: Budget) -> str:
    """Return why a policy is shown."""
    if chosen is not budget.choice.recommended:
        return "Not what the budget recommends; it is shown because it was chosen."
    if budget.kind == "seconds":
        by = f" by {metric_in_sentence(budget.metric)}" if budget.metric else ""
        return f"The validated policy of least damage{by} within {budget.text}."
    assert chosen.policy is not None and chosen.policy.validation is not None and budget.metric is not None
    text = (
        f"The fastest validated policy whose mean damage by {metric_in_sentence(budget.metric)} is at most "
        f"{budget.limit:g}."
    )
    if chosen.policy.validation.policy.damage[budget.metric].high > budget.limit:
        text += " Its interval reaches beyond the budget."
    return text
