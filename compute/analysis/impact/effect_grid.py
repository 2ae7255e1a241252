"""The effects in a table as a grid of ablations by conditions, with the estimates of all ablations at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Float

from compute.statistics.estimate import Estimate, means_of, ratios_of
from store.index.table import Table
from store.records import Ablation, Condition

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Effects of ablations on conditions: NaN where there is none.

    `raw` (ablations, conditions) in the metric's own unit; `keys` likewise, the units; `null` and `reseeds`
    (conditions), the controls. With `ratios`, estimates are in units of the reseeds' mean, and only conditions that
    have a reseed are there.
    """

    ablations: tuple[Ablation, ...]
    conditions: tuple[Condition, ...]
    raw: Floats
    keys: npt.NDArray[np.object_]
    null: Floats
    reseeds: Floats
    ratios: bool

    def values(self) -> Floats:
        """Return `raw` on the scale of the estimates, so that the mean of a row is the mean of its estimate."""
        if not self.ratios:
            return self.raw
        measured = np.isfinite(self.raw)
        divisors = np.where(measured, self.reseeds, 0).sum(1) / np.maximum(measured.sum(1), 1)
        return self.raw / np.maximum(divisors, 1e-12)[:, None]

    def estimates(self) -> list[Estimate]:
        """Return the estimate of each ablation, over the conditions on which it was measured."""
        return self._estimates(self.raw)

    def null_estimate(self) -> Estimate | None:
        """Return the estimate of the null ablation; None where it was not run."""
        return self._estimates(self.null[None])[0] if np.isfinite(self.null).any() else None

    def _estimates(self, raw: Floats) -> list[Estimate]:
        """Rows that have the same conditions are resampled together."""
        patterns, which = np.unique(np.isfinite(raw), axis=0, return_inverse=True)
        by_row: dict[int, Estimate] = {}
        for number, measured in enumerate(patterns):
            rows = np.flatnonzero(which.reshape(-1) == number)
            values = raw[np.ix_(rows, np.flatnonzero(measured))]
            estimates = ratios_of(values, self.reseeds[measured]) if self.ratios else means_of(values)
            by_row |= dict(zip(rows.tolist(), estimates, strict=True))
        return [by_row[row] for row in range(len(raw))]


def grid_of(table: Table, effects: Float[np.ndarray, " rows"], *, ratios: bool) -> Grid:
    """Return the grid of a table's finished ablations; `effects` has one number for each row of the table.

    Ablations without any effect are left out.
    """
    place, conditions = _condition_places(table)
    rows = np.flatnonzero((table["intervention"] == "ablation") & np.isfinite(effects))
    reseeds = _fill(1, len(conditions), np.nan)
    of_reseed = np.flatnonzero((table["intervention"] == "reseed") & np.isfinite(effects))
    reseeds[0, place[of_reseed]] = effects[of_reseed]
    if ratios:
        rows = rows[np.isfinite(reseeds[0, place[rows]])]
    numbers, group = _numbered(table["ablation"][rows])
    raw = _fill(len(numbers), len(conditions), np.nan)
    raw[group, place[rows]] = effects[rows]
    keys = np.full(raw.shape, None, dtype=object)
    keys[group, place[rows]] = table["key"][rows]
    real = np.array([bool(ablation.components) for ablation in numbers], dtype=np.bool_)
    null = raw[~real][:1] if (~real).any() else _fill(1, len(conditions), np.nan)
    return Grid(
        ablations=tuple(ablation for ablation in numbers if ablation.components),
        conditions=conditions,
        raw=raw[real],
        keys=keys[real],
        null=null[0],
        reseeds=reseeds[0],
        ratios=ratios,
    )


def _numbered(ablations: npt.NDArray[np.object_]) -> tuple[list[Ablation], npt.NDArray[np.int64]]:
    """Return the distinct ablations in order, and for each row the number of its own.

    The rows of a unit share one record, so that most are told by identity, which is faster than their hash.
    """
    numbers: dict[Ablation, int] = {}
    by_identity: dict[int, int] = {}
    rows: list[int] = []
    for ablation in ablations:
        number = by_identity.get(id(ablation))
        if number is None:
            number = by_identity[id(ablation)] = numbers.setdefault(ablation, len(numbers))
        rows.append(number)
    return list(numbers), np.array(rows, dtype=np.int64)


def _fill(rows: int, columns: int, value: float) -> Floats:
    return np.full((rows, columns), value, dtype=np.float64)


def _condition_places(table: Table) -> tuple[npt.NDArray[np.int64], tuple[Condition, ...]]:
    """For each row the number of its condition, and the conditions in the order of the plan."""
    places: dict[tuple[str, int, float], int] = {}
    columns = (table[name].tolist() for name in ("prompt", "seed", "guidance"))
    place = [places.setdefault(identity, len(places)) for identity in zip(*columns, strict=True)]
    conditions = (Condition(prompt=prompt, seed=seed, guidance=guidance) for prompt, seed, guidance in places)
    return np.array(place, dtype=np.int64), tuple(conditions)
