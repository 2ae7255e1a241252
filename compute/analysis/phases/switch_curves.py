"""The causal evidence for phases: the prompt is switched at a step, and the final picture obeys one of the two.

By nearness it obeys the prompt whose own picture from the same noise it is nearer to (mean squared error); by the
judge, as far as it shows what a prompt asks for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compute.analysis.phases.switch_results import ASPECTS, Switched
from compute.statistics.crossing import crossings, place_estimate, settlings
from compute.statistics.estimate import Estimate, means_of, ratios_of, weights

Floats = npt.NDArray[np.float64]
NEARNESS = "nearness"
SETTLED = 0.05
"""Damage below which a switch counts as moving nothing."""


@dataclass(frozen=True, kw_only=True)
class SwitchCurve:
    """Which prompt pictures obey by the step of the switch: shares (0 … 1) over conditions.

    `evidence` is `nearness` or an aspect that the judge reads: `objects`, `relation`, `background`, `all` of them.
    `boundary` is the step from which a switch comes too late: from there on the first prompt is obeyed more than the
    other. None where the steps swept show no such turn. `conditions` is how many have this evidence.
    """

    evidence: str
    steps: tuple[int, ...]
    first: tuple[Estimate, ...]
    other: tuple[Estimate, ...]
    boundary: Estimate | None
    conditions: int = 0


def switch_curves(switched: Switched) -> tuple[SwitchCurve, ...]:
    """A curve for each evidence that some condition has at every step: nearness first, then the judge's aspects."""
    grids = switched.grids
    nearer = grids["from_other"] - grids["from_first"]
    near_first, near_other = (np.where(np.isfinite(nearer), sign * nearer > 0, np.nan) for sign in (1, -1))
    found = [_curve(switched, NEARNESS, near_first, near_other)]
    found += [_curve(switched, name, grids[f"first_{name}"], grids[f"other_{name}"]) for name in ASPECTS]
    return tuple(curve for curve in found if curve is not None)


def _curve(switched: Switched, evidence: str, first: Floats, other: Floats) -> SwitchCurve | None:
    there = (np.isfinite(first) & np.isfinite(other)).all(1)
    if not there.any():
        return None
    first, other = first[there], other[there]
    return SwitchCurve(
        evidence=evidence,
        steps=switched.steps,
        first=tuple(means_of(first.T)),
        other=tuple(means_of(other.T)),
        boundary=_boundary(first - other, switched.steps, switched.end),
        conditions=len(first),
    )


def _boundary(balance: Floats, steps: tuple[int, ...], end: int) -> Estimate | None:
    """Where the mean of (conditions, steps) turns from the other prompt (below 0) to the first one, if it does."""
    mean = balance.mean(0)
    if not (mean < 0).any() or not (mean > 0).any():
        return None
    return place_estimate(lambda rows: crossings(rows, steps, end), mean, weights(len(balance)) @ balance, end)


def moved_by(switched: Switched) -> tuple[tuple[int, Estimate], ...]:
    """The damage of a switch at each step; none without the reseed control."""
    there = np.isfinite(switched.reseeds)
    if not there.any():
        return ()
    damages = ratios_of(switched.grids["from_first"][there].T, switched.reseeds[there])
    return tuple(zip(switched.steps, damages, strict=True))


def settled_from(switched: Switched) -> Estimate | None:
    """From which step on a switch's damage stays below SETTLED; None where it does not, or without the control."""
    there = np.isfinite(switched.reseeds)
    if not there.any():
        return None
    distances, reseeds = switched.grids["from_first"][there], switched.reseeds[there]
    shares = weights(len(reseeds))
    return place_estimate(
        lambda rows: settlings(rows, switched.steps, switched.end, SETTLED),
        distances.mean(0) / max(float(reseeds.mean()), 1e-12),
        (shares @ distances) / np.maximum(shares @ reseeds, 1e-12)[:, None],
        switched.end,
    )
