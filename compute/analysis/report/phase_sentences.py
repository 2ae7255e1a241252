"""What the evidence for the phases shows, in sentences with their numbers: for a terminal and for the dashboard."""

from __future__ import annotations

from collections.abc import Iterable

from compute.analysis.phases.phase_evidence import SETTLED, Phases

EVIDENCE = {
    "all": "whole prompt",
    "objects": "objects",
    "relation": "relation",
    "background": "background",
    "nearness": "nearest picture",
}
"""What each evidence of a prompt switch is called, the most telling first."""
OBSERVED = {"low-pass": "coarse shapes", "high-pass": "fine detail"}
"""What each part of the predicted picture is called."""


def evidence_name(evidence: str) -> str:
    """Return what an evidence of a prompt switch is called within a sentence."""
    return EVIDENCE.get(evidence, evidence)


def by_importance(evidence: Iterable[str]) -> list[str]:
    """Return evidence of prompt switches in the order of EVIDENCE, unknown ones last."""
    known = list(EVIDENCE)
    return sorted(evidence, key=lambda name: known.index(name) if name in known else len(known))


def phase_sentences(phases: Phases) -> tuple[str, ...]:
    """Return what the evidence shows, the boundary first; empty where a sweep holds none."""
    sentences = [_boundary(phases), *_mixed(phases)] if phases.causal else []
    if phases.settled is not None:
        sentences.append(
            f"From step {phases.settled.shown('.1f')} on, a switch of the prompt no longer changes the picture "
            f"(damage below {SETTLED:g})."
        )
    elif phases.moved:
        sentences.append(f"At no step that was tried does a switch stay below damage {SETTLED:g} for good.")
    if phases.observed:
        sentences.append(_observed(phases))
    return tuple(sentences)


def interval_sentence(phases: Phases) -> str:
    """Return what the brackets in these sentences are."""
    return (
        f"In brackets: 95% intervals over {phases.conditions} condition{'s' * (phases.conditions != 1)} "
        "(bootstrap); they do not cover the choice of model or sampler."
    )


def _boundary(phases: Phases) -> str:
    if phases.boundary is None:
        return "No boundary between the phases is found: at all the steps that were tried, the same prompt wins."
    share = phases.boundary.mean / phases.steps
    return (
        f"Composition ends at step {phases.boundary.shown('.1f')}, after {share:.0%} of the {phases.steps} steps: "
        "a prompt that comes earlier decides what the picture shows, one that comes later no longer does "
        f"(judged by: {evidence_name(phases.evidence)})."
    )


def _mixed(phases: Phases) -> list[str]:
    """The switches after which fewer than half of the pictures obey either prompt, if there are any."""
    curve = next((curve for curve in phases.causal if curve.evidence == phases.evidence), None)
    if curve is None:
        return []
    rows = zip(curve.steps, curve.first, curve.other, strict=True)
    mixed = [step for step, first, other in rows if max(first.mean, other.mean) < 0.5]
    if not mixed:
        return []
    when = f"at step {mixed[0]}" if len(mixed) == 1 else f"at {len(mixed)} steps from {mixed[0]} to {mixed[-1]}"
    return [f"Switched {when}, fewer than half of the pictures obey either prompt: they mix both."]


def _observed(phases: Phases) -> str:
    turns = {curve.part: curve.change_point for curve in phases.observed}
    places = " and ".join(f"{OBSERVED[part]} at step {turn.shown('.1f')}" for part, turn in turns.items())
    low, high = turns.get("low-pass"), turns.get("high-pass")
    if low is None or high is None:
        return f"Observed without intervening, the predicted picture changes its pace: {places}."
    sentence = f"Observed without intervening, the predicted picture changes its pace twice: {places}"
    if low.high < high.low:
        return f"{sentence}; coarse shapes settle first."
    if high.high < low.low:
        return f"{sentence}; fine detail settles first."
    return f"{sentence}; the intervals overlap, so which comes first is not settled."
