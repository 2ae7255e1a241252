"""A number with its interval: means and ratios over conditions, by a percentile bootstrap with a fixed seed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from store.records import Record

Floats = npt.NDArray[np.float64]
BOOTSTRAP_SAMPLES = 2000
CONFIDENCE = 0.95


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


def interval(samples: Floats) -> tuple[float, float]:
    """The middle CONFIDENCE of bootstrap samples."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return float(low), float(high)


def mean_of(values: Floats, *, seed: int = 0) -> Estimate:
    """The mean of values, one a condition. Raises ValueError for none."""
    if len(values) == 0:
        raise ValueError("a mean needs at least one value")
    low, high = interval(values[resampled(len(values), seed)].mean(1))
    return Estimate(mean=float(values.mean()), low=low, high=high)


def ratio_of(above: Floats, below: Floats, *, seed: int = 0) -> Estimate:
    """Ratio of means with conditions drawn in pairs. Raises ValueError for none."""
    if len(above) == 0:
        raise ValueError("a ratio needs at least one pair of values")
    drawn = resampled(len(above), seed)
    low, high = interval(above[drawn].mean(1) / np.maximum(below[drawn].mean(1), 1e-12))
    return Estimate(mean=float(above.mean() / max(float(below.mean()), 1e-12)), low=low, high=high)
