"""The table's rows as a grid of ablations and conditions, with estimates of all ablations at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compute.statistics.estimate import Estimate, means_of, ratios_of
from store.index.table import Table
from store.records import Action, Condition, Window

Floats = npt.NDArray[np.float64]
_WHAT = ("components", "action", "order", "space", "window_start", "window_stop")


@dataclass(frozen=True, kw_only=True)
class Swept:
    """Which ablation a row of the grid is."""

    components: str
    action: str
    window: Window


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Effects of ablations on conditions: NaN where there is none.

    `raw` (ablations, conditions) in the metric's own unit; `keys` likewise, the units; `null` and `reseeds`
    (conditions), the controls. With `ratios`, estimates are in units of the reseeds' mean, and only conditions that
    have a reseed are there.
    """

    ablations: tuple[Swept, ...]
    conditions: tuple[Condition, ...]
    raw: Floats
    keys: npt.NDArray[np.object_]
    null: Floats
    reseeds: Floats
    ratios: bool

    def values(self) -> Floats:
        """`raw` on the scale of the estimates: the mean of a row is the mean of its estimate."""
        if not self.ratios:
            return self.raw
        there = np.isfinite(self.raw)
        divisors = np.where(there, self.reseeds, 0).sum(1) / np.maximum(there.sum(1), 1)
        return self.raw / np.maximum(divisors, 1e-12)[:, None]

    def estimates(self) -> list[Estimate]:
        """One for each ablation, over the conditions that it has."""
        return self._estimates(self.raw)

    def null_estimate(self) -> Estimate | None:
        """The null ablation's; None where it was not run."""
        return self._estimates(self.null[None])[0] if np.isfinite(self.null).any() else None

    def _estimates(self, raw: Floats) -> list[Estimate]:
        """Rows that have the same conditions are resampled together."""
        patterns, which = np.unique(np.isfinite(raw), axis=0, return_inverse=True)
        found: dict[int, Estimate] = {}
        for number, there in enumerate(patterns):
            rows = np.flatnonzero(which.reshape(-1) == number)
            above = raw[np.ix_(rows, np.flatnonzero(there))]
            some = ratios_of(above, self.reseeds[there]) if self.ratios else means_of(above)
            found |= dict(zip(rows.tolist(), some, strict=True))
        return [found[row] for row in range(len(raw))]


def grid_of(table: Table, effects: Floats, *, ratios: bool) -> Grid:
    """The grid of a table's finished ablations; `effects` has one number a row. Ablations without any are left out."""
    place, conditions = _condition_places(table)
    rows = np.flatnonzero((table["intervention"] == "ablation") & np.isfinite(effects))
    reseeds = _fill(1, len(conditions), np.nan)
    of_reseed = np.flatnonzero((table["intervention"] == "reseed") & np.isfinite(effects))
    reseeds[0, place[of_reseed]] = effects[of_reseed]
    if ratios:
        rows = rows[np.isfinite(reseeds[0, place[rows]])]
    groups: dict[tuple[object, ...], int] = {}
    columns = [table[name][rows].tolist() for name in _WHAT]
    group = np.array([groups.setdefault(what, len(groups)) for what in zip(*columns, strict=True)], dtype=np.int64)
    raw = _fill(len(groups), len(conditions), np.nan)
    raw[group, place[rows]] = effects[rows]
    keys = np.full(raw.shape, None, dtype=object)
    keys[group, place[rows]] = table["key"][rows]
    whats = list(groups)
    real = np.array([bool(what[0]) for what in whats], dtype=np.bool_)
    null = raw[~real][:1] if (~real).any() else _fill(1, len(conditions), np.nan)
    return Grid(
        ablations=tuple(_swept(what) for what in whats if what[0]),
        conditions=conditions,
        raw=raw[real],
        keys=keys[real],
        null=null[0],
        reseeds=reseeds[0],
        ratios=ratios,
    )


def _fill(rows: int, columns: int, value: float) -> Floats:
    return np.full((rows, columns), value, dtype=np.float64)


def _condition_places(table: Table) -> tuple[npt.NDArray[np.int64], tuple[Condition, ...]]:
    """For each row the number of its condition, and the conditions in the order of the plan."""
    places: dict[tuple[str, int, float], int] = {}
    columns = (table[name].tolist() for name in ("prompt", "seed", "guidance"))
    place = [places.setdefault(said, len(places)) for said in zip(*columns, strict=True)]
    conditions = (Condition(prompt=prompt, seed=seed, guidance=guidance) for prompt, seed, guidance in places)
    return np.array(place, dtype=np.int64), tuple(conditions)


def _swept(what: tuple[object, ...]) -> Swept:
    components, name, order, space, start, stop = what
    action = Action.model_validate({"name": name, "order": order, "space": space or None})
    return Swept(
        components=str(components), action=str(action), window=Window.model_validate({"start": start, "stop": stop})
    )
