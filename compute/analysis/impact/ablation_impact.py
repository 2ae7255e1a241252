"""Impact: how much each ablation changes the picture, by any metric, with intervals over conditions.

Damage is the mean distance of ablated pictures to their baselines, divided by the mean distance between two seeds of
the same prompts: 0 is identical, 1 is as different as another seed. `compute.analysis.impact.scale` says which metrics
give damage and what the others give.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from compute.analysis.impact.component_kinds import component_levels, kind_of, level_of
from compute.analysis.impact.effect_grid import Grid, grid_of
from compute.analysis.impact.scale import Scale, effects, higher_is_worse, scale_of
from compute.statistics.estimate import Estimate
from compute.statistics.significance import conditions_needed, holm, sign_test
from store.errors import SkipscopeError
from store.index.table import Table
from store.records import Ablation, Action, Condition, Window, components_text
from store.sweep_reader import sweep_table
from store.sweep_store import SweepStore

__all__ = ["AblationImpact", "Impact", "NoImpact", "impact_of", "impact_of_table", "metrics_with_impact"]


class NoImpact(SkipscopeError):
    """A sweep without the finished units that impact is computed from."""


@dataclass(frozen=True, kw_only=True)
class AblationImpact:
    """The effect of one ablation, on the impact's scale.

    `values` and `keys` have one entry for each of the impact's conditions, None where the ablation was not run on it:
    the condition's own number (their mean is `effect.mean`), and the key of the unit that holds its pictures.
    """

    ablation: Ablation
    kind: str
    level: int | None
    effect: Estimate
    """Mean and interval on the impact's scale: damage, difference or value."""
    conditions: int
    values: tuple[float | None, ...]
    keys: tuple[str | None, ...]
    p_value: float
    """Of the sign test against the null ablation, before correction."""
    distinguishable: bool
    """Whether it can be told from doing nothing, corrected (Holm) for the number of ablations."""


@dataclass(frozen=True, kw_only=True)
class Impact:
    """All of a sweep's ablations by one metric, beside the two controls."""

    path: str
    metric: str
    label: str
    scale: Scale
    higher_is_worse: bool
    null: Estimate | None
    """The null ablation on this scale: what the method itself adds. Damage and difference should be 0."""
    reseed: float
    """The other control, two seeds of a prompt, in the metric's own unit: what damage 1 stands for."""
    conditions: tuple[Condition, ...]
    reseeds: tuple[float | None, ...]
    """`reseed` of each condition."""
    ablations: tuple[AblationImpact, ...]

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows that were swept, in order."""
        windows = {a.ablation.window for a in self.ablations}
        return tuple(sorted(windows, key=lambda window: (window.start, window.stop)))

    @property
    def actions(self) -> tuple[Action, ...]:
        """The actions that were swept, in the plan's order."""
        return tuple(dict.fromkeys(a.ablation.action for a in self.ablations))

    @property
    def main_windows(self) -> tuple[Window, ...]:
        """The windows in which components were removed (bypass, zero), or all, where none was: without screening."""
        eliminations = {action for action in self.actions if action.properties.removes}
        return self.only(actions=eliminations).windows if eliminations else self.windows

    @property
    def conditions_needed(self) -> int:
        """The least number of conditions with which any of these ablations can be told from doing nothing."""
        return conditions_needed(len(self.ablations), sided=self.scale != "difference")

    def ranked(self) -> list[AblationImpact]:
        """Return the ablations, the most harmful first."""
        sign = -1 if self.higher_is_worse else 1
        return sorted(self.ablations, key=lambda a: sign * a.effect.mean)

    def in_window(self, window: Window) -> list[AblationImpact]:
        """Return the ablations of a window, the most harmful first."""
        return self.only(windows=(window,)).ranked()

    def only(self, *, actions: Collection[Action] | None = None, windows: Collection[Window] | None = None) -> Impact:
        """Return the same impact with fewer ablations; flags stay corrected for the number of all of them."""
        places = None if windows is None else {(window.start, window.stop) for window in windows}
        kept = tuple(
            a
            for a in self.ablations
            if (actions is None or a.ablation.action in actions)
            # records compare slowly
            and (places is None or (a.ablation.window.start, a.ablation.window.stop) in places)
        )
        return replace(self, ablations=kept)

    def as_json(self) -> dict[str, Any]:
        """Return the document that `summary --json` prints."""
        document: dict[str, Any] = _JSON.dump_python(self, mode="json")
        document["ablations"] = [
            _described(a.ablation, facts) for a, facts in zip(self.ablations, document["ablations"], strict=True)
        ]
        return document


def _described(ablation: Ablation, facts: dict[str, Any]) -> dict[str, Any]:
    """An ablation's impact with the ablation as text and numbers; the effect is called damage, whatever the scale."""
    rest = {name: value for name, value in facts.items() if name not in ("ablation", "kind", "level", "effect")}
    return {
        "components": components_text(ablation.components),
        "kind": facts["kind"],
        "level": facts["level"],
        "action": str(ablation.action),
        "window": [ablation.window.start, ablation.window.stop],
        "damage": facts["effect"],
        **rest,
    }


_JSON = TypeAdapter(Impact)


def impact_of(store: SweepStore, metric: str = "mse") -> Impact:
    """Compute the impact of every finished ablation of a store by a metric; see `impact_of_table`."""
    return impact_of_table(sweep_table(store), metric, str(store.root), levels=component_levels(store.root))


def metrics_with_impact(table: Table) -> tuple[str, ...]:
    """Return the metrics of which some finished ablation has a value."""
    rows = table["intervention"] == "ablation"
    return tuple(name for name in table.metrics if np.isfinite(table[name][rows]).any())


def impact_of_table(
    table: Table, metric: str = "mse", path: str = "the sweep", *, levels: Mapping[str, int] | None = None
) -> Impact:
    """Compute the impact of every finished ablation by a metric, from a table of the sweep; `path` is for messages.

    The conditions, paired with their reseeds, are the sample of the intervals, which do not cover the choice of model.
    `levels` (see `component_levels`) gives each component's resolution. Raises NoImpact where metric, ablations or the
    reseed control are missing.
    """
    _check(table, metric, path)
    info = table.metrics[metric]
    grid = grid_of(table, effects(table, metric), ratios=scale_of(info) == "damage")
    if not np.isfinite(grid.reseeds).any():
        raise NoImpact(f"{path}: has no finished control yet; run the sweep on, then ask again")
    if not grid.ablations:
        raise NoImpact(f"{path}: has no finished ablation yet; run the sweep on, then ask again")
    return Impact(
        path=path,
        metric=metric,
        label=info.label or metric,
        scale=scale_of(info),
        higher_is_worse=higher_is_worse(info),
        null=grid.null_estimate(),
        reseed=float(np.nanmean(grid.reseeds)),
        conditions=grid.conditions,
        reseeds=_numbers(grid.reseeds),
        ablations=_ablations(grid, scale_of(info), higher_is_worse(info), levels or {}),
    )


def _check(table: Table, metric: str, path: str) -> None:
    if not (table["role"] != "baseline").any():
        raise NoImpact(f"{path}: has no finished control or ablation yet; run the sweep on, then ask again")
    usable = metrics_with_impact(table)
    if metric not in usable:
        raise NoImpact(f"--metric: {metric!r} was not measured here; accepted: {', '.join(usable) or 'none yet'}")


def _ablations(grid: Grid, scale: Scale, up_is_worse: bool, levels: Mapping[str, int]) -> tuple[AblationImpact, ...]:
    null = grid.null if scale == "value" or grid.null_estimate() is not None else np.zeros(len(grid.conditions))
    changes = (grid.raw - null) * (1 if up_is_worse else -1)
    p_values = sign_test(changes, sided=scale != "difference")
    flags, estimates, values, keys = holm(p_values), grid.estimates(), grid.values(), grid.keys
    counts = np.isfinite(values).sum(1)
    return tuple(
        AblationImpact(
            ablation=ablation,
            kind=kind_of(ablation.components),
            level=level_of(ablation.components, levels),
            effect=estimates[row],
            conditions=int(counts[row]),
            values=_numbers(values[row]),
            keys=tuple(keys[row]),
            p_value=float(p_values[row]),
            distinguishable=bool(flags[row]),
        )
        for row, ablation in enumerate(grid.ablations)
    )


def _numbers(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float | None, ...]:
    return tuple(value if value == value else None for value in values.tolist())
