"""Impact by kind of component and by depth in the network, window by window, with intervals over conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compute.analysis.impact.ablation_impact import AblationImpact, Impact
from compute.statistics.estimate import Estimate, mean_of, ratio_of
from store.actions import KINDS
from store.records import Window

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class GroupCurve:
    """The mean impact of a group of components in each window: a kind (`resnet`), or a level (`0`, the finest)."""

    group: str
    windows: tuple[Window, ...]
    effect: tuple[Estimate, ...]
    """Means with their intervals, on the impact's scale."""
    counts: tuple[int, ...]
    """The number of ablations in each mean."""


def by_kind(impact: Impact) -> tuple[GroupCurve, ...]:
    """Return a curve for each kind of component; narrow the impact with `only` first where actions should not mix."""
    order: dict[str, int] = {kind: place for place, kind in enumerate(KINDS)}
    return _curves(impact, lambda a: a.kind, lambda kinds: sorted(kinds, key=lambda k: (order.get(k, len(order)), k)))


def by_level(impact: Impact) -> tuple[GroupCurve, ...]:
    """Return a curve for each level, the finest (full resolution) first; components of unknown level are left out."""
    return _curves(
        impact,
        lambda a: None if a.level is None else str(a.level),
        lambda levels: sorted(levels, key=int),
    )


def mean_impact(impact: Impact) -> Estimate:
    """Return the mean of an impact's ablations, with an interval over conditions. Raises ValueError for none."""
    return _estimate(impact, list(impact.ablations))


def mean_change(before: Impact, after: Impact) -> Estimate:
    """Return by how much the mean of `before` exceeds that of `after`, two parts of one impact, paired by condition."""
    first, second = (_means(list(part.ablations)) for part in (before, after))
    return _over_conditions(before, first - second)


def _curves(
    impact: Impact,
    group_of: Callable[[AblationImpact], str | None],
    in_order: Callable[[Iterable[str]], list[str]],
) -> tuple[GroupCurve, ...]:
    groups: dict[str, dict[Window, list[AblationImpact]]] = {}
    for ablation in impact.ablations:
        if (group := group_of(ablation)) is not None:
            groups.setdefault(group, {}).setdefault(ablation.ablation.window, []).append(ablation)
    return tuple(_curve(impact, group, groups[group]) for group in in_order(groups))


def _curve(impact: Impact, group: str, by_window: dict[Window, list[AblationImpact]]) -> GroupCurve:
    windows = sorted(by_window, key=lambda window: (window.start, window.stop))
    return GroupCurve(
        group=group,
        windows=tuple(windows),
        effect=tuple(_estimate(impact, by_window[window]) for window in windows),
        counts=tuple(len(by_window[window]) for window in windows),
    )


def _estimate(impact: Impact, ablations: list[AblationImpact]) -> Estimate:
    return _over_conditions(impact, _means(ablations))


def _means(ablations: list[AblationImpact]) -> Floats:
    """Each condition's mean over the ablations that it has; NaN where it has none."""
    values: Floats = np.array([a.values for a in ablations], dtype=np.float64)  # None becomes NaN
    measured = np.isfinite(values)
    counts = measured.sum(0)
    return np.where(counts > 0, np.where(measured, values, 0).sum(0) / np.maximum(counts, 1), np.nan)


def _over_conditions(impact: Impact, means: Floats) -> Estimate:
    measured = np.isfinite(means)
    if impact.scale != "damage":
        return mean_of(means[measured])
    reseeds: Floats = np.array(impact.reseeds, dtype=np.float64)[measured]
    return ratio_of(means[measured] * reseeds.mean(), reseeds)
