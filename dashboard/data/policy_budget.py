"""Budgets of damage or of seconds, and the policies within them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from compute.policy.quality import RunQuality
from dashboard.data.policy_files import PolicyFile

BUDGET_LIMIT = 100.0
DEFAULT_BUDGET = 0.01
_DIGITS = (1, 1.5, 2, 3, 5, 7)
_TIMES = 16  # steps between the least and the greatest budget of seconds


def policy_runs(files: Iterable[PolicyFile]) -> list[RunQuality]:
    """Return the policy's own run of each validated policy."""
    return [file.policy.validation.policy for file in files if file.policy and file.policy.validation]


def damage_metrics(runs: Iterable[RunQuality]) -> list[str]:
    """Return the metrics by which the runs' damage was measured, the most frequent first."""
    names = [name for run in runs for name in run.damage]
    return sorted(set(names), key=lambda name: (-names.count(name), name != "mse", name))


@dataclass(frozen=True, kw_only=True)
class BudgetChoice:
    """The policy that a budget recommends, and the one nearest to keeping it; None if there is no such policy.

    Within a budget of damage the fastest is recommended, within one of seconds the least harmful.
    """

    recommended: PolicyFile | None
    nearest: PolicyFile | None


def damage_by(file: PolicyFile, metric: str) -> float | None:
    """Return a validated policy's mean damage by a metric, or None if it was not measured."""
    if file.policy is None or file.policy.validation is None:
        return None
    damage = file.policy.validation.policy.damage.get(metric)
    return None if damage is None else damage.mean


def choose_within(files: Sequence[PolicyFile], metric: str, budget: float) -> BudgetChoice:
    """Return the fastest validated policy whose mean damage by a metric is at most `budget`."""
    measured = [(damage, file) for file in files if (damage := damage_by(file, metric)) is not None]
    allowed = [file for damage, file in measured if damage <= budget]
    return BudgetChoice(
        recommended=max(allowed, key=_speedup, default=None),
        nearest=min(measured, key=lambda pair: pair[0], default=(0.0, None))[1],
    )


def seconds_of(file: PolicyFile) -> float | None:
    """Return a validated policy's measured seconds per picture."""
    if file.policy is None or file.policy.validation is None:
        return None
    return file.policy.validation.policy.seconds_per_picture


def choose_in_time(files: Sequence[PolicyFile], metric: str | None, seconds: float) -> BudgetChoice:
    """Return the validated policy of least mean damage that takes at most `seconds` a picture.

    Those without a damage by the metric come last, the slowest of them first.
    """
    measured = [(own, file) for file in files if (own := seconds_of(file)) is not None]
    allowed = [(own, file) for own, file in measured if own <= seconds]
    return BudgetChoice(
        recommended=min(allowed, key=lambda pair: _harm(pair[1], metric, pair[0]), default=(0.0, None))[1],
        nearest=min(measured, key=lambda pair: pair[0], default=(0.0, None))[1],
    )


def _harm(file: PolicyFile, metric: str | None, seconds: float) -> tuple[bool, float]:
    damage = None if metric is None else damage_by(file, metric)
    return (True, -seconds) if damage is None else (False, damage)


def seconds_options(files: Sequence[PolicyFile], in_address: str | None = None) -> list[float]:
    """Return seconds per picture to choose from, from below the fastest policy to above the slowest, evenly.

    A number that an address asks for is one of them. Empty without a validated policy.
    """
    measured = [own for file in files if (own := seconds_of(file)) is not None]
    if not measured:
        return []
    low, high = min(measured) * 0.95, max(measured) * 1.05
    grid = {float(f"{low + place * (high - low) / _TIMES:.3g}") for place in range(_TIMES + 1)}
    return sorted(grid | {value for value in _budget_in(in_address) if value > 0})


def budget_options(files: Sequence[PolicyFile], metric: str, in_address: str | None = None) -> list[float]:
    """Return budgets to choose from, from just below the least measured damage to just above the greatest.

    Their ratios are about equal. A number from 0 to BUDGET_LIMIT that an address asks for is one of them. Empty if no
    damage was measured.
    """
    damages = [damage for file in files if (damage := damage_by(file, metric)) is not None]
    if not damages:
        return []
    grid = [float(f"{digit}e{power}") for power in range(-6, 3) for digit in _DIGITS]
    low = max((value for value in grid if value < min(damages)), default=0.0)
    high = min((value for value in grid if value >= max(damages)), default=BUDGET_LIMIT)
    options = {low, high, *(value for value in grid if low <= value <= high)}
    return sorted(options | _budget_in(in_address))


def _budget_in(text: str | None) -> set[float]:
    try:
        value = float(text or "nan")
    except ValueError:
        return set()
    return {value} if 0 <= value <= BUDGET_LIMIT and f"{value:g}" == text else set()


def _speedup(file: PolicyFile) -> float:
    assert file.policy is not None and file.policy.validation is not None, "only validated policies have a speedup"
    return file.policy.validation.policy.speedup.mean
