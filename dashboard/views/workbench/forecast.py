"""What a draft is expected to cost and to do: counted by liveness, predicted from single ablations, never measured."""

from __future__ import annotations

import streamlit as st

from compute.analysis.impact.ablation_impact import NoImpact
from compute.analysis.impact.predicted_damage import CAUTION, PredictedDamage, predicted_damage
from compute.policy.liveness import ResolvedSchedule
from dashboard.charts.policy_map import cost_share
from dashboard.data.sweep import Sweep
from dashboard.widgets import choices
from dashboard.widgets.panels import fact_list, note
from dashboard.words.component_labels import component_label
from dashboard.words.formatting import number_text
from dashboard.words.metric_labels import metric_in_sentence
from store.errors import SkipscopeError

NO_COST_MODEL = (
    "Cost is counted in arithmetic, from the component graph and liveness. A sweep keeps no times of components, so "
    "seconds are not predicted; `skipscope validate` measures them."
)
_NAMED = 4


def show_forecast(sweep: Sweep, resolved: ResolvedSchedule) -> None:
    """Show the predicted cost and damage of a draft."""
    metric = _metric(sweep)
    predicted = None if metric is None else predicted_damage(sweep.impact(metric), resolved)
    fact_list(
        [
            *cost_facts(resolved),
            ("Predicted damage (a sum)", _damage_text(predicted, metric)),
        ]
    )
    note(NO_COST_MODEL)
    if predicted is not None:
        note(CAUTION)
        if predicted.unmeasured:
            note(unmeasured_sentence(predicted))


def cost_facts(resolved: ResolvedSchedule) -> list[tuple[str, str]]:
    """Return what liveness says of a draft's cost."""
    share = cost_share(resolved)
    steps = resolved.steps
    dropped = sum(plan.unet is not None for plan in steps)
    partial = sum(bool(plan.dead or plan.actions) and plan.unet is None for plan in steps)
    speed = f"{1 / share:.2f} times, if time followed arithmetic" if share else "nothing is computed"
    giga = resolved.total_flops / 1e9
    return [
        ("Arithmetic", f"{share:.1%} of full compute ({giga:.3g} GFLOP a picture, without guidance)"),
        ("Speed", speed),
        ("Steps", f"{len(steps) - dropped - partial} whole, {partial} in part, {dropped} dropped"),
    ]


def _metric(sweep: Sweep) -> str | None:
    """Let the user choose a metric of damage; None without one."""
    damages = []
    for name in sweep.metrics:
        try:
            if sweep.impact(name).scale == "damage":
                damages.append(name)
        except NoImpact as error:
            note(str(error))
            return None
    if not damages:
        note("The sweep measured no damage, so none is predicted.")
        return None
    column, _ = st.columns([1, 2])
    with column:
        return choices.select("damage_by", "Damage by", damages, format_func=sweep.metric_label)


def _damage_text(predicted: PredictedDamage | None, metric: str | None) -> str:
    if predicted is None or metric is None:
        return "not known"
    if not predicted.measured and predicted.unmeasured:
        return "not known: nothing of it was tried"
    least = "at least " if predicted.unmeasured else ""
    return (
        f"{least}{number_text(predicted.damage)} by {metric_in_sentence(metric)} "
        f"(upper ends: {number_text(predicted.high)})"
    )


def unmeasured_sentence(predicted: PredictedDamage) -> str:
    """Return what of a draft no ablation tried."""
    names = [component_label(name).full for name in predicted.unmeasured]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    count = sum(predicted.unmeasured.values())
    return (
        f"Not counted: {count} of {count + predicted.measured} actions, which no ablation tried alone at their step "
        f"({', '.join(names[:_NAMED])}{more})."
    )


def problem_line(error: SkipscopeError) -> str:
    """Return why a draft cannot run, as one line."""
    return str(error).splitlines()[0]
