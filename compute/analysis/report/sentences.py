"""Sentences that say what impact and phases show, with their numbers: for a terminal and for the dashboard."""

from __future__ import annotations

import numpy as np

from compute.analysis.impact.ablation_impact import Impact
from compute.analysis.phases.phase_evidence import SETTLED, ObservedCurve, Phases
from compute.statistics.significance import ALPHA
from store.records import Window

EVIDENCE = {
    "nearness": "nearer picture",
    "objects": "objects",
    "relation": "relation",
    "background": "background",
    "all": "whole prompt",
}
"""How each evidence of a prompt switch is called in texts."""


def steps_text(window: Window) -> str:
    """`steps 5-9`, or `step 7` for a window of one."""
    return f"step {window.start}" if window.stop - window.start == 1 else f"steps {window}"


def caution(impact: Impact) -> str:
    """What so many comparisons allow to be said: how many ablations can be told from doing nothing."""
    number, conditions = len(impact.ablations), max(a.conditions for a in impact.ablations)
    told = sum(a.distinguishable for a in impact.ablations)
    test = f"sign test over conditions, Holm's correction for {number} ablations"
    extremes = "The extremes of so many look more extreme than they are"
    if told:
        return (
            f"{told} of {number} ablations can be told from doing nothing ({test}: the chance that any of them is "
            f"wrong is at most {ALPHA:.0%}). {extremes}."
        )
    if conditions < impact.conditions_needed:
        return (
            f"{conditions} conditions are too few to tell any of {number} ablations from doing nothing ({test}: "
            f"{impact.conditions_needed} or more are needed). {extremes}: take the ranking as candidates."
        )
    return f"None of {number} ablations can be told from doing nothing ({test})."


def phase_sentences(phases: Phases) -> tuple[str, ...]:
    """What the evidence says, in sentences with their numbers."""
    said = [
        f"The {curve.part} part of the predicted picture changes its pace at step {curve.change_point.shown('.1f')}; "
        f"by then it is {reached_at(curve, curve.change_point.mean):.0%} of the way to the final picture."
        for curve in phases.observed
    ]
    if phases.boundary is not None:
        said.append(
            f"Switched before step {phases.boundary.shown('.1f')}, pictures obey the other prompt more than their own, "
            f"later their own ({EVIDENCE[phases.evidence]})."
        )
        said += _mixed(phases)
    elif phases.causal:
        said.append("The steps at which the prompt was switched show no turn from one prompt to the other.")
    if phases.settled is not None:
        said.append(
            f"From step {phases.settled.shown('.1f')} on a switch moves nothing: its damage stays below {SETTLED}."
        )
    elif phases.moved:
        said.append(f"At no switched step is the damage of a switch below {SETTLED} for good.")
    return tuple(said)


def _mixed(phases: Phases) -> list[str]:
    """The stretch of switches behind which neither prompt is obeyed by half of the pictures, if there is one."""
    curve = next(curve for curve in phases.causal if curve.evidence == phases.evidence)
    whole = zip(curve.steps, curve.first, curve.other, strict=True)
    mixed = [step for step, first, other in whole if max(first.mean, other.mean) < 0.5]
    if not mixed:
        return []
    when = f"at step {mixed[0]}" if len(mixed) == 1 else f"at {len(mixed)} steps between {mixed[0]} and {mixed[-1]}"
    return [f"Switched {when}, fewer than half of the pictures obey either prompt: they mix both."]


def reached_at(curve: ObservedCurve, step: float) -> float:
    """How far an observed curve has come at a step, between its steps interpolated."""
    return float(np.interp(step, curve.steps, [estimate.mean for estimate in curve.reached]))
