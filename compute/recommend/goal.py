"""The goal of a search: the fastest policy within a damage, or the least damage at a speedup."""

from __future__ import annotations

from dataclasses import dataclass

from compute.policy.frontier_report import BudgetUnit
from store.errors import SkipscopeError

_MOST = 10_000.0


class NoRecommendation(SkipscopeError):
    """No policy can be recommended: the goal is not understood or not reached, or the sweep lacks evidence."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """The fastest policy of damage `max_damage` or less, or the least damage at speedup `min_speedup` or more."""

    metric: str = "mse"
    max_damage: float | None = None
    min_speedup: float | None = None

    @property
    def name(self) -> str:
        """The name of a policy for this goal."""
        if self.max_damage is not None:
            return f"{self.metric}-damage-{self.max_damage:.12g}"
        return f"{self.metric}-speedup-{self.min_speedup:.12g}"


def goals_of(metric: str, max_damage: str | None, min_speedup: float | None) -> list[Goal]:
    """Return the goals of command line options: one for `min_speedup`, or one for each damage, sorted.

    Raises NoRecommendation for options that are missing, not understood or out of range.
    """
    if (max_damage is None) == (min_speedup is None):
        raise NoRecommendation("--max-damage, --min-speedup: give one of the two")
    if min_speedup is not None:
        if not 1 < min_speedup < 1000:
            raise NoRecommendation(f"--min-speedup: {min_speedup:g}; a number above 1 is accepted, 1.5 for instance")
        return [Goal(metric=metric, min_speedup=min_speedup)]
    try:
        budgets = sorted({float(part) for part in str(max_damage).split(",")})
        if not all(0 < budget < 1000 for budget in budgets):
            raise ValueError
    except ValueError:
        raise NoRecommendation(
            f"--max-damage: {str(max_damage)[:60]!r} is not understood; write 0.01, or several: 0.003,0.01"
        ) from None
    return [Goal(metric=metric, max_damage=budget) for budget in budgets]


def budgets_of(evaluations: str | None, seconds: str | None) -> tuple[BudgetUnit, list[float]] | None:
    """Return the budgets of command line options, sorted; None where neither is given.

    Raises NoRecommendation for both, and for what is not understood or out of range.
    """
    if evaluations is not None and seconds is not None:
        raise NoRecommendation("--evaluations, --seconds: give one of the two")
    given: dict[BudgetUnit, str | None] = {"evaluations": evaluations, "seconds": seconds}
    for unit, text in given.items():
        if text is None:
            continue
        try:
            budgets = sorted({float(part) for part in text.split(",")})
            if not all(0 < budget < _MOST for budget in budgets):
                raise ValueError
        except ValueError:
            example = "5, or several: 4,5,6,8,10" if unit == "evaluations" else "0.2, or several: 0.1,0.2"
            raise NoRecommendation(f"--{unit}: {text[:60]!r} is not understood; write {example}") from None
        return unit, budgets
    return None
