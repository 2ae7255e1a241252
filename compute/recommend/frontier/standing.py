"""A candidate in a search, and how it stands: what it costs and the losses that were measured so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from compute.policy.frontier_report import BudgetUnit
from compute.policy.skip_policy import SkipPolicy
from compute.recommend.frontier.picture_loss import Losses
from compute.statistics.estimate import Estimate, mean_of


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A policy that competes.

    `is_plain` says that it is full compute with the solver's own spacing, which every other has to be better than.
    """

    label: str
    policy: SkipPolicy
    is_plain: bool
    evaluations: float
    """Full evaluations of the network a picture, by FLOPs."""
    seconds: float
    """Seconds a picture, by the cost model of this machine."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Standing:
    """A candidate with its losses on the first of the search's conditions."""

    candidate: Candidate
    losses: Losses

    @property
    def loss(self) -> float:
        """The mean loss."""
        return float(self.losses.mean())

    def estimate(self) -> Estimate:
        """Return the mean loss with its interval."""
        return mean_of(self.losses)

    def minus(self, other: Standing) -> Estimate:
        """Return this candidate's loss minus another's, paired by condition, on those that both were run on."""
        count = min(len(self.losses), len(other.losses))
        return mean_of(self.losses[:count] - other.losses[:count])


def within(standings: Iterable[Standing], budget: float, *, by: BudgetUnit) -> list[Standing]:
    """Return the standings of what costs at most `budget`, the most measured and then the least loss first."""
    found = [standing for standing in standings if getattr(standing.candidate, by) <= budget + 1e-9]
    return sorted(found, key=lambda standing: (-len(standing.losses), standing.loss))
