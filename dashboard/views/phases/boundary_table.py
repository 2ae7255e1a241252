"""The table of the boundaries between the phases, one row for each kind of evidence."""

from __future__ import annotations

from typing import Any

from compute.analysis.phases.phase_evidence import SETTLED, Phases
from compute.analysis.report.phase_sentences import OBSERVED, by_importance
from compute.statistics.estimate import Estimate, unseen_share
from dashboard.words.metric_labels import evidence_label


def boundary_rows(phases: Phases) -> list[dict[str, Any]]:
    """Return a row for each evidence; its step is None if the evidence has no boundary."""
    curves = {curve.evidence: curve for curve in phases.causal}
    rows = [
        _row("Prompt switch", evidence_label(name), curves[name].boundary, phases.steps)
        for name in by_importance(curves)
    ]
    if phases.causal:
        settled = f"No longer changes the picture (damage below {SETTLED:g})"
        rows.append(_row("Prompt switch", settled, phases.settled, phases.steps))
    rows += [
        _row("Observed", f"Change point of {OBSERVED[curve.part]}", curve.change_point, phases.steps)
        for curve in phases.observed
    ]
    return rows


def agreement_note(phases: Phases) -> str:
    """Return what intervals without a width can mean; "" where there are none."""
    found = {curve.conditions for curve in phases.causal if curve.boundary is not None and curve.boundary.flat}
    others = [phases.settled, *(curve.change_point for curve in phases.observed)]
    if any(estimate is not None and estimate.flat for estimate in others):
        found.add(phases.conditions)
    count = min(found - {0}, default=0)
    if not count:
        return ""
    return (
        f"Where “from” and “to” are the same, the {count} conditions agree: 0 of {count} turned at another step. Of "
        f"others, up to {unseen_share(count):.0%} may still do (95%)."
    )


def _row(kind: str, evidence: str, step: Estimate | None, steps: int) -> dict[str, Any]:
    return {
        "Evidence": kind,
        "Judged by": evidence,
        "Step": None if step is None else step.mean,
        "95% from": None if step is None else step.low,
        "95% to": None if step is None else step.high,
        "Share of run (%)": None if step is None else 100 * step.mean / steps,
    }
