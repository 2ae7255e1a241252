"""What the Phases page says and shows beside its charts: sentences, the table of boundaries, frames of a trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from compute.analysis.phases.phase_evidence import SETTLED, Phases
from compute.statistics.estimate import Estimate
from dashboard.widgets.images import Pixels, pixels_of, source_of

EVIDENCE = {
    "all": "Whole prompt",
    "objects": "Objects",
    "relation": "Relation",
    "background": "Background",
    "nearness": "Nearest picture",
}
_PARTS = {"low-pass": "coarse shapes", "high-pass": "fine detail"}
_SIDE = 192


def evidence_label(evidence: str) -> str:
    """What the pictures were judged by, in words."""
    return EVIDENCE.get(evidence, evidence)


def in_order(evidence: Sequence[str]) -> list[str]:
    """The most telling evidence first."""
    known = list(EVIDENCE)
    return sorted(evidence, key=lambda name: known.index(name) if name in known else len(known))


def sentences(phases: Phases) -> tuple[str, ...]:
    """What the charts show, with their numbers."""
    found = [_causal(phases), *_mixed(phases)] if phases.causal else []
    if phases.settled is not None:
        found.append(
            f"From step {phases.settled.shown('.1f')} on, a switch of the prompt moves the picture no more "
            f"(damage below {SETTLED:g})."
        )
    elif phases.moved:
        found.append(f"At no step that was tried does a switch stay below damage {SETTLED:g} for good.")
    if phases.observed:
        found.append(_observed(phases))
    found.append(
        f"In brackets: 95% intervals over {phases.conditions} condition{'s' * (phases.conditions != 1)} "
        "(bootstrap); they do not cover the choice of model or sampler."
    )
    return tuple(found)


def _causal(phases: Phases) -> str:
    if phases.boundary is None:
        return "No boundary between the phases is found: at all the steps that were tried, the same prompt wins."
    by = evidence_label(phases.evidence).lower()
    share = phases.boundary.mean / phases.steps
    return (
        f"Composition ends at step {phases.boundary.shown('.1f')}, after {share:.0%} of the {phases.steps} steps: "
        "a prompt that comes earlier decides what the picture shows, one that comes later no longer does "
        f"(judged by: {by})."
    )


def _mixed(phases: Phases) -> list[str]:
    """The switches behind which neither prompt is obeyed by half of the pictures, if there are any."""
    curve = next((curve for curve in phases.causal if curve.evidence == phases.evidence), None)
    if curve is None:
        return []
    whole = zip(curve.steps, curve.first, curve.other, strict=True)
    mixed = [step for step, first, other in whole if max(first.mean, other.mean) < 0.5]
    if not mixed:
        return []
    when = f"at step {mixed[0]}" if len(mixed) == 1 else f"at {len(mixed)} steps from {mixed[0]} to {mixed[-1]}"
    return [f"Switched {when}, fewer than half of the pictures obey either prompt: they mix both."]


def _observed(phases: Phases) -> str:
    turns = {curve.part: curve.change_point for curve in phases.observed}
    told = " and ".join(f"{_PARTS[part]} at step {turn.shown('.1f')}" for part, turn in turns.items())
    text = f"Watched without intervening, the predicted picture turns twice: {told}"
    low, high = turns.get("low-pass"), turns.get("high-pass")
    if low is None or high is None:
        return f"Watched without intervening, the predicted picture turns: {told}."
    if low.high < high.low:
        return f"{text}; coarse shapes settle first."
    if high.high < low.low:
        return f"{text}; fine detail settles first."
    return f"{text}; the intervals overlap, so which comes first is not settled."


def boundary_rows(phases: Phases) -> list[dict[str, Any]]:
    """A row for each evidence for a boundary; a step is empty where the evidence gives none."""
    curves = {curve.evidence: curve for curve in phases.causal}
    rows = [
        _row("Prompt switch", evidence_label(name), curves[name].boundary, phases.steps)
        for name in in_order(list(curves))
    ]
    if phases.causal:
        rows.append(_row("Prompt switch", f"Moves nothing (damage below {SETTLED:g})", phases.settled, phases.steps))
    rows += [
        _row("Observed", f"Change point of {_PARTS[curve.part]}", curve.change_point, phases.steps)
        for curve in phases.observed
    ]
    return rows


def _row(sort: str, evidence: str, value: Estimate | None, steps: int) -> dict[str, Any]:
    return {
        "Evidence": sort,
        "Judged by": evidence,
        "Step": None if value is None else value.mean,
        "95% from": None if value is None else value.low,
        "95% to": None if value is None else value.high,
        "Share of run (%)": None if value is None else 100 * value.mean / steps,
    }


def spread(steps: Sequence[int], count: int) -> list[int]:
    """At most `count` positions of `steps`, the first and the last among them, as evenly spread as can be."""
    if len(steps) <= count:
        return list(range(len(steps)))
    return sorted({round(at) for at in np.linspace(0, len(steps) - 1, count)})


def frames(pictures: npt.NDArray[np.float32], steps: Sequence[int], count: int = 9) -> list[tuple[int, str]]:
    """(step, `data:` address) of some pictures of a trajectory, (S, C, H, W) in [-1, 1]."""
    return [(steps[at], source_of(_enlarged(pixels_of(pictures[at])))) for at in spread(steps, count)]


def _enlarged(pixels: Pixels) -> Pixels:
    """Small pictures by a whole factor, so that a chart, which smooths, keeps their edges."""
    factor = -(-_SIDE // max(pixels.shape[:2]))
    large: Pixels = pixels.repeat(factor, 0).repeat(factor, 1)
    return large
