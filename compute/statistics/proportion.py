"""A proportion with its confidence interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_Z = 1.959964  # the 97.5% quantile of the standard normal distribution


@dataclass(frozen=True, kw_only=True)
class Proportion:
    """The mean of `count` values in [0, 1] with its 95% Wilson score interval; NaN throughout where there are none.

    Values between 0 and 1 vary less than as many zeros and ones with the same mean, so for them the interval is wider
    than it need be.

    Source: E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference (1927).
    """

    mean: float
    low: float
    high: float
    count: int

    @staticmethod
    def of(values: Sequence[float]) -> Proportion:
        """Return the proportion of `values`, each in [0, 1]."""
        n = len(values)
        if n == 0:
            return Proportion(mean=math.nan, low=math.nan, high=math.nan, count=0)
        mean = float(np.mean(values))
        centre = (mean + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half_width = _Z / (1 + _Z**2 / n) * float(np.sqrt(mean * (1 - mean) / n + _Z**2 / (4 * n**2)))
        return Proportion(mean=mean, low=centre - half_width, high=centre + half_width, count=n)

    def __str__(self) -> str:
        return f"{self.mean:6.1%} [{self.low:.1%}, {self.high:.1%}]"
