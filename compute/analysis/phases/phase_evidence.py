"""The phases of generation, composition first and denoising after, and the evidence for their boundary."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from compute.analysis.coverage import LEAST_COVERAGE, Coverage, switch_coverage
from compute.analysis.phases.observed import LEAST_STEPS, ObservedCurve, kept_steps, observed_curves
from compute.analysis.phases.switch_curves import (
    NEARNESS,
    SETTLED,
    SwitchCurve,
    settled_from,
    switch_curves,
    switch_damage,
)
from compute.analysis.phases.switch_results import read_switch_results
from compute.analysis.right_baselines import with_right_baselines
from compute.statistics.estimate import Estimate
from store.errors import SkipscopeError
from store.sweep_reader import SweepReader

__all__ = ["SETTLED", "NoPhases", "ObservedCurve", "Phases", "SwitchCurve", "phases_of"]

_WHOLE_PROMPT = "all"


class NoPhases(SkipscopeError):
    """A sweep without the data that phases are computed from."""


@dataclass(frozen=True, kw_only=True)
class Phases:
    """The evidence for the phases of a sweep's model; all places are in steps, all intervals over conditions.

    `observed`: how early each part of the predicted picture is the final one's. `causal`: which prompt a picture obeys
    when the prompt is switched at a step. `moved`: the damage of a switch at each step. `boundary`: the step at which
    pictures turn from the other prompt to their own by `evidence`, which is the judge's reading of the whole prompt
    where that shows a turn, else nearness. `settled`: the step from which on a switch changes nothing (damage below
    SETTLED). `missing`: why there is no causal evidence, "" if there is; fewer switches than LEAST_COVERAGE are none.
    """

    path: str
    steps: int
    conditions: int
    observed: tuple[ObservedCurve, ...]
    causal: tuple[SwitchCurve, ...]
    moved: tuple[tuple[int, Estimate], ...]
    boundary: Estimate | None
    evidence: str
    settled: Estimate | None
    missing: str

    def judged_by(self, evidence: str) -> Phases:
        """Return the same evidence with the boundary by another of the causal curves. Raises KeyError without it."""
        curve = {curve.evidence: curve for curve in self.causal}[evidence]
        return replace(self, boundary=curve.boundary, evidence=evidence)

    def as_json(self) -> dict[str, Any]:
        """Return the document that `phases --json` prints."""
        document: dict[str, Any] = _JSON.dump_python(self, mode="json")
        return document


_JSON = TypeAdapter(Phases)


def phases_of(reader: SweepReader, *, only_right: bool = False) -> Phases:
    """Compute the phases from the baselines and prompt switches that are finished.

    With `only_right`, only from conditions whose baseline shows what its prompt says, as a judge reads it: a wrong one
    obeys no prompt, whenever it is switched. Raises NoPhases without baselines or where they did not keep `pred_x0`,
    ShardMissing and ShardDamaged.
    """
    path, whole = str(reader.store.root), reader.table()
    table = with_right_baselines(whole) if only_right else whole
    rows = np.flatnonzero(table["role"] == "baseline")
    baselines: dict[str, list[int]] = {}
    for key, place in zip(table["key"][rows].tolist(), table["condition"][rows].tolist(), strict=True):
        baselines.setdefault(key, []).append(place)
    if not baselines:
        kind = "baseline that a judge finds right" if only_right else "finished baseline"
        raise NoPhases(f"{path}: has no {kind} yet; run the sweep on, then ask again")
    kept = kept_steps(reader, baselines)
    if len(kept) < LEAST_STEPS:
        raise NoPhases(
            f"{path}: its baselines keep pred_x0 of {len(kept)} steps; phases are computed from {LEAST_STEPS} or more, "
            "so sweep more sampling steps and keep them all"
        )
    covered = switch_coverage(reader.store.header.plan, set(whole["key"].tolist()))
    switches = read_switch_results(reader, table) if covered.enough else None
    causal = switch_curves(switches) if switches else ()
    headline = _headline(causal)
    return Phases(
        path=path,
        steps=int(table["steps"][rows[0]]),
        conditions=len(rows),
        observed=observed_curves(reader, baselines, kept),
        causal=causal,
        moved=switch_damage(switches) if switches else (),
        boundary=headline.boundary if headline else None,
        evidence=headline.evidence if headline else "",
        settled=settled_from(switches) if switches else None,
        missing="" if causal else _missing(covered),
    )


def _headline(causal: tuple[SwitchCurve, ...]) -> SwitchCurve | None:
    by_evidence = {curve.evidence: curve for curve in causal if curve.boundary is not None}
    return by_evidence.get(_WHOLE_PROMPT) or by_evidence.get(NEARNESS)


def _missing(covered: Coverage) -> str:
    if covered.planned:
        return (
            f"The prompt switches are not finished yet: {covered.done} of {covered.planned} runs are done. Phases are "
            f"stated once {LEAST_COVERAGE:.0%} are done at every step: run the sweep on, then ask again."
        )
    return "The sweep switches no prompts: add `prompt_switch: {every: 1}` to its configuration and run it again."
