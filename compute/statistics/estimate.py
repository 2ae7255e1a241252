"""Means and ratios over conditions with intervals, by a percentile bootstrap with a fixed seed."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int

from store.records import Record

Floats = npt.NDArray[np.float64]
BOOTSTRAP_SAMPLES = 2000
CONFIDENCE = 0.95
_TAIL = (1 - CONFIDENCE) / 2
_LEAST_DIVISOR = 1e-12
_ROUNDING = 1e-9
_ROWS_AT_ONCE = 1000  # bounds the memory that the samples of many quantities take


class Estimate(Record):
    """A mean over conditions with its interval (CONFIDENCE, percentile bootstrap)."""

    mean: float
    low: float
    high: float

    @property
    def flat(self) -> bool:
        """Whether the interval has no width, because all the values are the same."""
        return self.high - self.low < _ROUNDING

    def __str__(self) -> str:
        return self.shown(".3f")

    def shown(self, form: str) -> str:
        """Return the estimate as text, with its numbers in a format such as `.1%`."""
        return f"{self.mean:{form}} [{self.low:{form}}, {self.high:{form}}]"


def unseen_share(count: int) -> float:
    """Return the greatest share of cases that may differ where none of `count` did (95%, exact): 9% for 32."""
    return 1 - (1 - CONFIDENCE) ** (1 / count)


def bounded(estimate: Estimate, count: int, *, least: float = 0.0, greatest: float = 1.0) -> Estimate:
    """Return an estimate of the mean of `count` values from `least` to `greatest`, with an interval of some width.

    A bootstrap of values that are all the same has no width. What so few of them can mean is that at most a share
    `unseen_share` of others differs, up to either end. Other estimates are returned as they are.
    """
    if not estimate.flat:
        return estimate
    share, mean = unseen_share(count), estimate.mean
    return Estimate(mean=mean, low=mean - share * (mean - least), high=mean + share * (greatest - mean))


def bootstrap_rows(count: int, seed: int = 0) -> Int[np.ndarray, "samples count"]:
    """Return the row numbers of BOOTSTRAP_SAMPLES random samples of `count` rows with replacement."""
    return np.random.default_rng(seed).integers(count, size=(BOOTSTRAP_SAMPLES, count))


@lru_cache(maxsize=8)
def bootstrap_weights(count: int, seed: int = 0) -> Float[np.ndarray, "samples count"]:
    """Return the share of each row in the samples of `bootstrap_rows`: read-only; each row of the result sums to 1."""
    rows = bootstrap_rows(count, seed)
    shares = np.zeros(rows.shape)
    np.add.at(shares, (np.arange(len(rows))[:, None], rows), 1 / count)
    shares.flags.writeable = False
    return shares


def interval(samples: Float[np.ndarray, " samples"]) -> tuple[float, float]:
    """Return the middle CONFIDENCE of bootstrap samples, as (low, high)."""
    low, high = np.quantile(samples, [_TAIL, 1 - _TAIL])
    return float(low), float(high)


def means_of(values: Float[np.ndarray, "quantities conditions"], *, seed: int = 0) -> list[Estimate]:
    """Return the mean of each row; all rows share the bootstrap samples. Raises ValueError without conditions."""
    return ratios_of(values, np.ones(values.shape[1]), seed=seed)


def ratios_of(
    numerators: Float[np.ndarray, "quantities conditions"],
    denominator: Float[np.ndarray, " conditions"],
    *,
    seed: int = 0,
) -> list[Estimate]:
    """Return the ratio of means of each row to the denominator; both are resampled in pairs.

    Raises ValueError without conditions.
    """
    count = len(denominator)
    if count == 0:
        raise ValueError("an estimate needs at least one condition")
    means = numerators.mean(1) / max(float(denominator.mean()), _LEAST_DIVISOR)
    if count == 1:  # every sample is the same
        return [Estimate(mean=mean, low=mean, high=mean) for mean in means.tolist()]
    shares = bootstrap_weights(count, seed)
    divisors = np.maximum(shares @ denominator, _LEAST_DIVISOR)
    estimates: list[Estimate] = []
    for first in range(0, len(numerators), _ROWS_AT_ONCE):
        rows = slice(first, first + _ROWS_AT_ONCE)
        samples = numerators[rows] @ shares.T / divisors
        lows, highs = np.quantile(samples, [_TAIL, 1 - _TAIL], axis=1).tolist()
        estimates += [
            Estimate(mean=mean, low=low, high=high)
            for mean, low, high in zip(means[rows].tolist(), lows, highs, strict=True)
        ]
    return estimates


def mean_of(values: Float[np.ndarray, " conditions"], *, seed: int = 0) -> Estimate:
    """Return the mean of values, one a condition. Raises ValueError for none."""
    return means_of(values[None], seed=seed)[0]


def ratio_of(
    numerator: Float[np.ndarray, " conditions"], denominator: Float[np.ndarray, " conditions"], *, seed: int = 0
) -> Estimate:
    """Return the ratio of means; both are resampled in pairs. Raises ValueError without conditions."""
    return ratios_of(numerator[None], denominator, seed=seed)[0]
