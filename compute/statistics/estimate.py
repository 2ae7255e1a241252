"""A number with its interval: means and ratios over conditions, by a percentile bootstrap with a fixed seed."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from store.records import Record

Floats = npt.NDArray[np.float64]
BOOTSTRAP_SAMPLES = 2000
CONFIDENCE = 0.95
_LEAST = 1e-12
_AT_ONCE = 1000


class Estimate(Record):
    """A mean over conditions with its interval (CONFIDENCE, percentile bootstrap)."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def shown(self, form: str) -> str:
        """The estimate with numbers in a format of the caller's, such as `.1%`."""
        return f"{self.mean:{form}} [{self.low:{form}}, {self.high:{form}}]"


def resampled(count: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """Row numbers of BOOTSTRAP_SAMPLES samples of `count` drawn with replacement: (samples, count)."""
    return np.random.default_rng(seed).integers(count, size=(BOOTSTRAP_SAMPLES, count))


@lru_cache(maxsize=8)
def weights(count: int, seed: int = 0) -> Floats:
    """The samples of `resampled` as the share of each row in them: (samples, count), read-only; each row sums to 1."""
    drawn = resampled(count, seed)
    shares = np.zeros(drawn.shape)
    np.add.at(shares, (np.arange(len(drawn))[:, None], drawn), 1 / count)
    shares.flags.writeable = False
    return shares


def interval(samples: Floats) -> tuple[float, float]:
    """The middle CONFIDENCE of bootstrap samples."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return float(low), float(high)


def means_of(values: Floats, *, seed: int = 0) -> list[Estimate]:
    """The mean of each row of (quantities, conditions), all resampled alike. Raises ValueError without conditions."""
    return ratios_of(values, np.ones(values.shape[1]), seed=seed)


def ratios_of(above: Floats, below: Floats, *, seed: int = 0) -> list[Estimate]:
    """Ratio of means of each row of `above` (quantities, conditions) to `below` (conditions), drawn in pairs.

    Raises ValueError without conditions.
    """
    count = len(below)
    if count == 0:
        raise ValueError("an estimate needs at least one condition")
    means = above.mean(1) / max(float(below.mean()), _LEAST)
    if count == 1:  # every sample is the same
        return [Estimate(mean=mean, low=mean, high=mean) for mean in means.tolist()]
    shares = weights(count, seed)
    divisors = np.maximum(shares @ below, _LEAST)
    tail = (1 - CONFIDENCE) / 2
    found: list[Estimate] = []
    for first in range(0, len(above), _AT_ONCE):
        samples = above[first : first + _AT_ONCE] @ shares.T / divisors
        lows, highs = np.quantile(samples, [tail, 1 - tail], axis=1).tolist()
        some = means[first : first + _AT_ONCE].tolist()
        found += [Estimate(mean=m, low=low, high=high) for m, low, high in zip(some, lows, highs, strict=True)]
    return found


def mean_of(values: Floats, *, seed: int = 0) -> Estimate:
    """The mean of values, one a condition. Raises ValueError for none."""
    return means_of(values[None], seed=seed)[0]


def ratio_of(above: Floats, below: Floats, *, seed: int = 0) -> Estimate:
    """Ratio of means with conditions drawn in pairs. Raises ValueError for none."""
    return ratios_of(above[None], below, seed=seed)[0]
