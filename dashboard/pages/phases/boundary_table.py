"""What the page Phases shows beside its charts: the table of boundaries, frames of a trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from compute.analysis.phases.phase_evidence import SETTLED, Phases
from compute.analysis.report.phase_sentences import OBSERVED, by_importance
from compute.statistics.estimate import Estimate
from dashboard.widgets.images import Pixels, pixels_of, source_of
from dashboard.words.component_labels import evidence_label

_SIDE = 192


def boundary_rows(phases: Phases) -> list[dict[str, Any]]:
    """A row for each evidence for a boundary; a step is empty where the evidence gives none."""
    curves = {curve.evidence: curve for curve in phases.causal}
    rows = [
        _row("Prompt switch", evidence_label(name), curves[name].boundary, phases.steps)
        for name in by_importance(curves)
    ]
    if phases.causal:
        rows.append(_row("Prompt switch", f"Moves nothing (damage below {SETTLED:g})", phases.settled, phases.steps))
    rows += [
        _row("Observed", f"Change point of {OBSERVED[curve.part]}", curve.change_point, phases.steps)
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
