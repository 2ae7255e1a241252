"""The step at which a quantity changes sign, or from which it stays small, with an interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from jaxtyping import Float

from compute.statistics.estimate import Estimate, interval

Floats = npt.NDArray[np.float64]
_TIE = 1e-9


def crossings(
    balance: Float[np.ndarray, "quantities steps"], steps: Sequence[int], end: int
) -> Float[np.ndarray, " quantities"]:
    """Return the step at which each row turns from below 0 to above 0.

    The split with the smallest sum before it is the zero of the row's closest rising curve (isotonic regression);
    between the two steps beside the split it is interpolated. Of a stretch of zeros the middle is taken. A row that is
    above 0 from the first step on turns there, one that never rises above 0 at `end`; one of zeros is NaN.
    """
    sums = np.concatenate([np.zeros((len(balance), 1)), np.cumsum(balance, axis=1)], axis=1)
    least = sums <= sums.min(1, keepdims=True) + _TIE
    first = least.argmax(1)
    last = balance.shape[1] - least[:, ::-1].argmax(1)
    middle = (_zero_at(balance, steps, end, first) + _zero_at(balance, steps, end, last)) / 2
    return np.where((first == 0) & (last == balance.shape[1]), np.nan, middle)


def _zero_at(balance: Floats, steps: Sequence[int], end: int, split: npt.NDArray[np.intp]) -> Floats:
    """The zero between the steps on either side of a split; split s lies before step number s."""
    rows, places = np.arange(len(balance)), np.array(steps, dtype=np.float64)
    before, after = np.maximum(split - 1, 0), np.minimum(split, len(steps) - 1)
    low, high = balance[rows, before], balance[rows, after]
    share = np.where(high > low, -low / np.where(high > low, high - low, 1), 0.5)
    inside = places[before] + np.clip(share, 0, 1) * (places[after] - places[before])
    return np.where(split == 0, places[0], np.where(split == len(steps), float(end), inside))


def settling_steps(
    values: Float[np.ndarray, "quantities steps"], steps: Sequence[int], end: int, threshold: float
) -> Float[np.ndarray, " quantities"]:
    """Return the step from which on each row stays below a threshold, interpolated.

    It is the first step for a row that is below it throughout, `end` for one that is not below it at the last step.
    """
    return np.array([_settling_step(row, steps, end, threshold) for row in values])


def _settling_step(row: Floats, steps: Sequence[int], end: int, threshold: float) -> float:
    above = np.flatnonzero(row >= threshold)
    if len(above) == 0:
        return float(steps[0])
    last = int(above[-1])
    if last == len(steps) - 1:
        return float(end)
    share = (row[last] - threshold) / (row[last] - row[last + 1])
    return float(steps[last] + share * (steps[last + 1] - steps[last]))


def step_estimate(
    step_of: Callable[[Floats], Floats],
    mean: Float[np.ndarray, " steps"],
    samples: Float[np.ndarray, "samples steps"],
    end: int,
) -> Estimate | None:
    """Return the step that `step_of` gives for the mean curve, with its bootstrap interval; None unless before `end`.

    `step_of` maps (curves, steps) to one step a curve. Samples without such a step count as `end`, so that they widen
    the interval.
    """
    step = float(step_of(mean[None])[0])
    if not step < end:
        return None
    of_samples = step_of(samples)
    low, high = interval(np.where(np.isfinite(of_samples), of_samples, end))
    return Estimate(mean=step, low=low, high=high)
