"""The causal evidence for phases: the prompt is switched at a step, and the final picture obeys one of the two.

By nearness a picture obeys the prompt whose own picture from the same noise it is nearer to (mean squared error); by
the judge it obeys a prompt as far as it shows what the prompt asks for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compute.analysis.phases.switch_results import ASPECTS, SwitchResults
from compute.statistics.crossing import crossings, settling_steps, step_estimate
from compute.statistics.estimate import Estimate, bootstrap_weights, bounded, means_of, ratios_of

Floats = npt.NDArray[np.float64]
NEARNESS = "nearness"
SETTLED = 0.05
"""Damage below which a switch counts as changing nothing."""


@dataclass(frozen=True, kw_only=True)
class SwitchCurve:
    """Which prompt pictures obey, by the step of the switch: shares (0 … 1) over conditions.

    `evidence` is `nearness` or an aspect that the judge reads: `objects`, `relation`, `background`, `all` of them.
    `boundary` is the step from which on a switch comes too late: from there on more pictures obey the first prompt than
    the other. It is None where the steps that were switched at show no such turn. `conditions` counts those that have
    this evidence.
    """

    evidence: str
    steps: tuple[int, ...]
    first: tuple[Estimate, ...]
    other: tuple[Estimate, ...]
    boundary: Estimate | None
    conditions: int = 0


def switch_curves(results: SwitchResults) -> tuple[SwitchCurve, ...]:
    """Return a curve for each evidence that some condition has at every step: nearness first, then the aspects."""
    grids = results.grids
    nearer = grids["from_other"] - grids["from_first"]
    near_first, near_other = (np.where(np.isfinite(nearer), sign * nearer > 0, np.nan) for sign in (1, -1))
    curves = [_curve(results, NEARNESS, near_first, near_other)]
    curves += [_curve(results, name, grids[f"first_{name}"], grids[f"other_{name}"]) for name in ASPECTS]
    return tuple(curve for curve in curves if curve is not None)


def _curve(results: SwitchResults, evidence: str, first: Floats, other: Floats) -> SwitchCurve | None:
    complete = (np.isfinite(first) & np.isfinite(other)).all(1)
    if not complete.any():
        return None
    first, other = first[complete], other[complete]
    return SwitchCurve(
        evidence=evidence,
        steps=results.steps,
        first=tuple(bounded(share, len(first)) for share in means_of(first.T)),
        other=tuple(bounded(share, len(other)) for share in means_of(other.T)),
        boundary=_boundary(first - other, results.steps, results.end),
        conditions=len(first),
    )


def _boundary(balance: Floats, steps: tuple[int, ...], end: int) -> Estimate | None:
    """Where the mean of (conditions, steps) turns from the other prompt (below 0) to the first, if it does."""
    mean = balance.mean(0)
    if not (mean < 0).any() or not (mean > 0).any():
        return None
    samples = bootstrap_weights(len(balance)) @ balance
    return step_estimate(lambda curves: crossings(curves, steps, end), mean, samples, end)


def switch_damage(results: SwitchResults) -> tuple[tuple[int, Estimate], ...]:
    """Return (step, damage of a switch there) for each step; nothing without the reseed control."""
    controlled = np.isfinite(results.reseeds)
    if not controlled.any():
        return ()
    damages = ratios_of(results.grids["from_first"][controlled].T, results.reseeds[controlled])
    return tuple(zip(results.steps, damages, strict=True))


def settled_from(results: SwitchResults) -> Estimate | None:
    """Return the step from which on a switch's damage stays below SETTLED; None without one or without the control."""
    controlled = np.isfinite(results.reseeds)
    if not controlled.any():
        return None
    distances, reseeds = results.grids["from_first"][controlled], results.reseeds[controlled]
    shares = bootstrap_weights(len(reseeds))
    return step_estimate(
        lambda curves: settling_steps(curves, results.steps, results.end, SETTLED),
        distances.mean(0) / max(float(reseeds.mean()), 1e-12),
        (shares @ distances) / np.maximum(shares @ reseeds, 1e-12)[:, None],
        results.end,
    )
