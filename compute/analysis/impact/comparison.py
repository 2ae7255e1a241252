"""Two sweeps' impact side by side: the ablations that both have, and those that only one has."""

from __future__ import annotations

from dataclasses import dataclass

from compute.analysis.impact.ablation_impact import Impact
from compute.statistics.estimate import Estimate
from store.records import Ablation


@dataclass(frozen=True, kw_only=True)
class ImpactPair:
    """One ablation, the same components, window and action, in two sweeps."""

    ablation: Ablation
    first: Estimate
    second: Estimate

    @property
    def difference(self) -> float:
        """The second sweep's effect minus the first's."""
        return self.second.mean - self.first.mean

    @property
    def apart(self) -> bool:
        """Whether the intervals do not overlap. Intervals that overlap may still belong to different effects."""
        return self.first.high < self.second.low or self.second.high < self.first.low


@dataclass(frozen=True, kw_only=True)
class ImpactComparison:
    """What two sweeps have in common, in the first one's order, and what only one of them has."""

    pairs: tuple[ImpactPair, ...]
    only_first: tuple[Ablation, ...]
    only_second: tuple[Ablation, ...]


def compare_impacts(first: Impact, second: Impact, *, same_steps: bool) -> ImpactComparison:
    """Compare two sweeps by a metric that both are given in.

    Without `same_steps` (runs of as many sampling steps) no window of one is a window of the other, so nothing is
    shared. Raises ValueError for impacts on different scales.
    """
    if (first.metric, first.scale) != (second.metric, second.scale):
        raise ValueError(f"{first.metric} and {second.metric} do not compare")
    theirs = {a.ablation: a.effect for a in second.ablations} if same_steps else {}
    pairs = [
        ImpactPair(ablation=a.ablation, first=a.effect, second=theirs[a.ablation])
        for a in first.ablations
        if a.ablation in theirs
    ]
    shared = {pair.ablation for pair in pairs}
    return ImpactComparison(
        pairs=tuple(pairs),
        only_first=tuple(a.ablation for a in first.ablations if a.ablation not in shared),
        only_second=tuple(a.ablation for a in second.ablations if a.ablation not in shared),
    )
