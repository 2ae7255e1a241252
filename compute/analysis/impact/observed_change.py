"""What one looks at, beside what it causes: the change that an ablation makes at once, and the damage at the end.

The observed change of an ablation is how far the predicted picture moves in the first step without the component (its
relative L2 distance to the baseline's prediction from the same state): what a single evaluation of the network shows.
The causal damage is that of the final picture. Methods that decide by the first assume that both agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Float

from compute.analysis.impact.ablation_impact import AblationImpact, Impact
from compute.statistics.estimate import Estimate, bootstrap_rows, interval
from store.errors import SkipscopeError
from store.records import Window
from store.shard.payload import DistanceName
from store.sweep_reader import SweepReader

Floats = npt.NDArray[np.float64]
_DISTANCE: DistanceName = "pred_x0_rel_l2"
_SAMPLES = 500  # of the bootstrap of the correlation, each of which ranks all ablations anew
LEAST_ABLATIONS = 4
_LEAST_CONDITIONS = 2


class NoObservedChange(SkipscopeError):
    """A window whose ablations did not keep the distances of their predictions."""


@dataclass(frozen=True, kw_only=True)
class ObservedChange:
    """The ablations of a window with both numbers, means over the conditions that all of them were run on.

    `correlation` is Spearman's, with its bootstrap interval over conditions; None for a single condition.
    `rank_gaps[i]`: the rank of the observed change minus that of the damage, in units of the number of ablations, both
    counted from the smallest: positive where one sees more than it causes.
    """

    ablations: tuple[AblationImpact, ...]
    observed: tuple[float, ...]
    causal: tuple[float, ...]
    conditions: int
    correlation: Estimate | None
    spearman: float
    rank_gaps: tuple[float, ...]


def observed_change(reader: SweepReader, impact: Impact, window: Window) -> ObservedChange:
    """Return both numbers of a window's ablations; the impact must be damage. Reads one shard for each ablation.

    Raises NoObservedChange for fewer than LEAST_ABLATIONS with both, ShardMissing and ShardDamaged.
    """
    read: list[tuple[AblationImpact, Floats, Floats]] = []
    changes: dict[str, Floats | None] = {}
    for ablation in impact.only(windows=(window,)).ablations:
        places = range(len(impact.conditions))
        observed = np.array([_first_change(reader, changes, impact, ablation, place) for place in places])
        if np.isfinite(observed).any():
            read.append((ablation, observed, np.array(ablation.values, dtype=np.float64)))
    if read:
        both = np.array([np.isfinite(observed) & np.isfinite(values) for _, observed, values in read]).all(0)
        read = read if both.any() else []
    if len(read) < LEAST_ABLATIONS:
        raise NoObservedChange(
            f"Both numbers are known of {len(read)} ablations of these steps; a comparison takes {LEAST_ABLATIONS}. "
            "The first is the distance of the predictions, which units keep while they run."
        )
    seen = np.stack([observed[both] for _, observed, _ in read])
    damage = np.stack([values[both] for _, _, values in read])
    return _compared(tuple(row[0] for row in read), seen, damage)


def _first_change(
    reader: SweepReader,
    changes: dict[str, Floats | None],
    impact: Impact,
    ablation: AblationImpact,
    place: int,
) -> float:
    """The change on one of the impact's conditions; NaN where it is not known."""
    key = ablation.keys[place]
    if key is None:
        return float("nan")
    if key not in changes:
        with reader.unit(key) as unit:
            rows, row = unit.distances.get(_DISTANCE), ablation.ablation.window.start - unit.start
            changes[key] = rows[row].astype(np.float64) if rows is not None and 0 <= row < len(rows) else None
    found = changes[key]
    conditions = reader.store.header.units[key].conditions
    return float("nan") if found is None else float(found[conditions.index(impact.conditions[place])])


def _compared(ablations: tuple[AblationImpact, ...], seen: Floats, damage: Floats) -> ObservedChange:
    observed, causal = seen.mean(1), damage.mean(1)
    rho, count = spearman(observed, causal), seen.shape[1]
    gaps = (ranks(observed) - ranks(causal)) / len(observed)
    correlation = None
    if count >= _LEAST_CONDITIONS:
        samples = [
            spearman(seen[:, rows].mean(1), damage[:, rows].mean(1)) for rows in bootstrap_rows(count)[:_SAMPLES]
        ]
        low, high = interval(np.array(samples))
        correlation = Estimate(mean=rho, low=min(low, rho), high=max(high, rho))
    return ObservedChange(
        ablations=ablations,
        observed=tuple(observed.tolist()),
        causal=tuple(causal.tolist()),
        conditions=count,
        correlation=correlation,
        spearman=rho,
        rank_gaps=tuple(gaps.tolist()),
    )


def ranks(values: Sequence[float] | Float[np.ndarray, " values"]) -> Floats:
    """Return the rank of each value, from 1; equal values share the mean of their ranks."""
    _, which, counts = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means: Floats = (last - (counts - 1) / 2)[which]
    return means


def spearman(
    one: Sequence[float] | Float[np.ndarray, " values"], other: Sequence[float] | Float[np.ndarray, " values"]
) -> float:
    """Return Spearman's rank correlation, -1 to 1; 0 where either does not vary."""
    first, second = (ranks(values) - (len(values) + 1) / 2 for values in (one, other))
    size = float(np.sqrt(np.square(first).sum() * np.square(second).sum()))
    return 0.0 if size == 0 else float((first * second).sum() / size)
