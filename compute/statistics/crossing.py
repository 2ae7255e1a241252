"""Where a quantity over steps changes sides, with an interval: boundaries and ends of phases."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from compute.statistics.estimate import Estimate, interval

Floats = npt.NDArray[np.float64]
_TIE = 1e-9


def crossings(balance: Floats, steps: Sequence[int], end: int) -> Floats:
    """Where each row of (quantities, steps) turns from below 0 to above 0: (quantities,), in steps.

    The split with the least sum before it is the zero of the row's closest rising curve (isotonic regression); between
    the two steps beside it the place is interpolated. A stretch of zeros turns in its middle. A row that is above 0
    from the first step turns there, one that never rises above 0 at `end`; one of zeros is NaN.
    """
    sums = np.concatenate([np.zeros((len(balance), 1)), np.cumsum(balance, axis=1)], axis=1)
    least = sums <= sums.min(1, keepdims=True) + _TIE
    first = least.argmax(1)
    last = balance.shape[1] - least[:, ::-1].argmax(1)
    found = (_between(balance, steps, end, first) + _between(balance, steps, end, last)) / 2
    return np.where((first == 0) & (last == balance.shape[1]), np.nan, found)


def _between(balance: Floats, steps: Sequence[int], end: int, split: npt.NDArray[np.intp]) -> Floats:
    """The zero between the steps before and behind a split, which stands before step number `split`."""
    rows, places = np.arange(len(balance)), np.array(steps, dtype=np.float64)
    before, behind = np.maximum(split - 1, 0), np.minimum(split, len(steps) - 1)
    low, high = balance[rows, before], balance[rows, behind]
    share = np.where(high > low, -low / np.where(high > low, high - low, 1), 0.5)
    inside = places[before] + np.clip(share, 0, 1) * (places[behind] - places[before])
    return np.where(split == 0, places[0], np.where(split == len(steps), float(end), inside))


def settlings(values: Floats, steps: Sequence[int], end: int, threshold: float) -> Floats:
    """From where on each row of (quantities, steps) stays below a threshold: (quantities,), interpolated.

    The first step for a row that is below it throughout, `end` for one that is not at the last step.
    """
    return np.array([_settling(row, steps, end, threshold) for row in values])


def _settling(row: Floats, steps: Sequence[int], end: int, threshold: float) -> float:
    above = np.flatnonzero(row >= threshold)
    if len(above) == 0:
        return float(steps[0])
    last = int(above[-1])
    if last == len(steps) - 1:
        return float(end)
    share = (row[last] - threshold) / (row[last] - row[last + 1])
    return float(steps[last] + share * (steps[last + 1] - steps[last]))


def place_estimate(place: Callable[[Floats], Floats], mean: Floats, samples: Floats, end: int) -> Estimate | None:
    """A place in the mean curve with the interval of those in bootstrap samples; None where it is not before `end`.

    Samples without a place count as `end`, so that they widen the interval.
    """
    found = float(place(mean[None])[0])
    if not found < end:
        return None
    drawn = place(samples)
    low, high = interval(np.where(np.isfinite(drawn), drawn, end))
    return Estimate(mean=found, low=low, high=high)
