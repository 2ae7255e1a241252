"""Exact sign tests, corrected for many comparisons: which ablations can be told from doing nothing."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float

Floats = npt.NDArray[np.float64]
ALPHA = 0.05
"""The greatest probability that any ablation at all is wrongly called distinguishable."""


def sign_test(changes: Float[np.ndarray, "quantities conditions"], *, sided: bool) -> Float[np.ndarray, " quantities"]:
    """Return the p-value of each row: the probability that chance alone changes so many conditions the same way.

    Changes of 0 and NaN do not count. `sided`: only changes above 0 are evidence, else those of either sign.
    """
    above, below = (changes > 0).sum(1), (changes < 0).sum(1)
    most = above if sided else np.maximum(above, below)
    tails = [_binomial_tail(int(n), int(k)) for n, k in zip(above + below, most, strict=True)]
    return np.minimum(np.array(tails, dtype=np.float64) * (1 if sided else 2), 1.0)


@lru_cache(maxsize=4096)
def _binomial_tail(count: int, least: int) -> float:
    """The probability of at least `least` heads in `count` throws of a fair coin."""
    return sum(math.comb(count, k) for k in range(least, count + 1)) / 2**count


def holm(p_values: Float[np.ndarray, " tests"], alpha: float = ALPHA) -> Bool[np.ndarray, " tests"]:
    """Return which hypotheses are rejected, so that the probability of any wrong rejection is at most alpha.

    Source: S. Holm, A simple sequentially rejective multiple test procedure (1979).
    """
    order = np.argsort(p_values, kind="stable")
    passed = p_values[order] <= alpha / np.arange(len(order), 0, -1)
    stop = len(order) if passed.all() else int(np.argmin(passed))
    rejected = np.zeros(len(order), dtype=np.bool_)
    rejected[order[:stop]] = True
    return rejected


def conditions_needed(tests: int, *, sided: bool, alpha: float = ALPHA) -> int:
    """Return how many conditions, all changed the same way, the smallest p-value needs to pass Holm's first step."""
    return math.ceil(math.log2((1 if sided else 2) * max(tests, 1) / alpha))
