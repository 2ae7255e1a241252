"""The phases of generation, composition first and denoising after: where the boundary is, by two kinds of evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from compute.analysis.phases.observed import LEAST_STEPS, ObservedCurve, kept_steps, observed_curves
from compute.analysis.phases.switch_curves import NEARNESS, SETTLED, SwitchCurve, moved_by, settled_from, switch_curves
from compute.analysis.phases.switch_results import switched_of
from compute.statistics.estimate import Estimate
from store.errors import SkipscopeError
from store.index.table import SweepReader

__all__ = ["SETTLED", "NoPhases", "ObservedCurve", "Phases", "SwitchCurve", "phases_of"]

_WHOLE_PROMPT = "all"


class NoPhases(SkipscopeError):
    """A sweep that does not hold what phases are read from."""


@dataclass(frozen=True, kw_only=True)
class Phases:
    """The evidence for the phases of a sweep's model; all places are in steps, all intervals over conditions.

    `observed` says how early each part of the predicted picture is the final one's; `causal` which prompt a picture
    obeys when it is switched at a step; `moved` the damage of a switch at each step. `boundary` is where pictures turn
    from the other prompt to their own by `evidence`: the judge's reading of the whole prompt where it shows a turn,
    else nearness. `settled` is the step from which on a switch moves nothing (damage below SETTLED). `missing` says why
    there is no causal evidence, "" if there is.
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

    def as_json(self) -> dict[str, Any]:
        """As `phases --json` prints it."""
        document: dict[str, Any] = _JSON.dump_python(self, mode="json")
        return document


_JSON = TypeAdapter(Phases)


def phases_of(reader: SweepReader) -> Phases:
    """The phases by the baselines and prompt switches that are finished.

    Raises NoPhases without baselines and where they did not keep `pred_x0`, ShardMissing and ShardDamaged.
    """
    path, table = str(reader.store.root), reader.table()
    own = np.flatnonzero(table["role"] == "baseline")
    baselines = list(dict.fromkeys(table["key"][own].tolist()))
    if not baselines:
        raise NoPhases(f"{path}: has no finished baseline yet; run the sweep on, then ask again")
    kept = kept_steps(reader, baselines)
    if len(kept) < LEAST_STEPS:
        raise NoPhases(
            f"{path}: its baselines keep pred_x0 of {len(kept)} steps; phases are read from {LEAST_STEPS} or more, "
            "so sweep more sampling steps and keep them all"
        )
    switched = switched_of(reader, table)
    causal = switch_curves(switched) if switched else ()
    headline = _headline(causal)
    return Phases(
        path=path,
        steps=int(table["steps"][own[0]]),
        conditions=len(own),
        observed=observed_curves(reader, baselines, kept),
        causal=causal,
        moved=moved_by(switched) if switched else (),
        boundary=headline.boundary if headline else None,
        evidence=headline.evidence if headline else "",
        settled=settled_from(switched) if switched else None,
        missing="" if causal else _missing(reader),
    )


def _headline(causal: tuple[SwitchCurve, ...]) -> SwitchCurve | None:
    by_evidence = {curve.evidence: curve for curve in causal if curve.boundary is not None}
    return by_evidence.get(_WHOLE_PROMPT) or by_evidence.get(NEARNESS)


def _missing(reader: SweepReader) -> str:
    if any(unit.role == "switch" for unit in reader.store.header.plan):
        return "The prompt switches are not finished yet: run the sweep on, then ask again."
    return "The sweep switches no prompts: add `prompt_switch: {every: 1}` to its configuration and run it again."
