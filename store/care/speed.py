"""How fast a sweep runs and how long it will take, from the times at which its units were finished."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from store.records import Ablation, PromptSwitch, Unit

LEAST_UNITS = 8
"""With fewer finished units no range is stated."""
_UNITS_A_BLOCK = 2
_QUANTILES = {4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36}
"""97.5% quantiles of Student's t for so many blocks."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Units and evaluations a second, and `error`, the half-width of the evaluations' 95% interval as a share."""

    units: float
    evaluations: float
    error: float | None

    def seconds(self, evaluations: float) -> float:
        """Return how long so many evaluations take."""
        return evaluations / self.evaluations

    def seconds_range(self, evaluations: float) -> tuple[float, float] | None:
        """Return the 95% interval of how long they take, or None if the speed is not known well enough."""
        if self.error is None or self.error >= 1:
            return None
        seconds = self.seconds(evaluations)
        return seconds / (1 + self.error), seconds / (1 - self.error)


def unit_evaluations(unit: Unit, settings: Mapping[str, Any]) -> float:
    """Return the sampling steps that a unit runs on its conditions; 1 where the settings do not have their number."""
    sampler = settings.get("sampler")
    steps = sampler.get("steps") if isinstance(sampler, dict) else None
    if not isinstance(steps, int):
        return 1.0
    started = unit.intervention
    start = started.window.start if isinstance(started, Ablation) else 0
    start = started.step if isinstance(started, PromptSwitch) else start
    return float(max(steps - start, 1) * len(unit.conditions))


def measured_speed(finished: Sequence[tuple[float, float]], since: float) -> Speed | None:
    """Return the speed from (Unix time, evaluations) of each unit finished after `since`; None without one.

    The interval comes from how much the speed differs between consecutive blocks of units.
    """
    if not finished:
        return None
    ordered = sorted(finished)
    elapsed = max(ordered[-1][0] - since, 1e-3)
    evaluations = sum(cost for _, cost in ordered)
    return Speed(units=len(ordered) / elapsed, evaluations=evaluations / elapsed, error=_error(ordered, since))


def _error(ordered: Sequence[tuple[float, float]], since: float) -> float | None:
    count = min(max(_QUANTILES), len(ordered) // _UNITS_A_BLOCK)
    if len(ordered) < LEAST_UNITS or count not in _QUANTILES:
        return None
    ends = [round(len(ordered) * number / count) for number in range(count + 1)]
    costs = [sum(cost for _, cost in ordered[low:high]) for low, high in zip(ends, ends[1:], strict=False)]
    times = [since, *(ordered[end - 1][0] for end in ends[1:])]
    # Of a ratio of sums, as the speed is one: each block's residual from the overall speed.
    speed = sum(costs) / max(times[-1] - since, 1e-3)
    residuals = [cost - speed * (b - a) for cost, a, b in zip(costs, times, times[1:], strict=False)]
    spread = math.sqrt(sum(residual**2 for residual in residuals) / (count * (count - 1)))
    return _QUANTILES[count] * spread / max(sum(costs) / count, 1e-9)
