"""Which of many ablations can be told from doing nothing: exact sign tests, corrected for their number."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
ALPHA = 0.05
"""The chance, at most, that any ablation at all is called distinguishable wrongly."""


def sign_test(changes: Floats, *, sided: bool) -> Floats:
    """p-value of each row of (quantities, conditions): would chance alone change so many conditions the same way?

    Changes of 0 and NaN do not count. `sided`: only changes above 0 count as evidence, else those of either sign.
    """
    above, below = (changes > 0).sum(1), (changes < 0).sum(1)
    most = above if sided else np.maximum(above, below)
    tails = [_tail(int(n), int(k)) for n, k in zip(above + below, most, strict=True)]
    return np.minimum(np.array(tails, dtype=np.float64) * (1 if sided else 2), 1.0)


@lru_cache(maxsize=4096)
def _tail(count: int, least: int) -> float:
    """The chance of at least so many heads in `count` throws of a coin."""
    return sum(math.comb(count, k) for k in range(least, count + 1)) / 2**count


def holm(p_values: Floats, alpha: float = ALPHA) -> Flags:
    """Which hypotheses are rejected so that the chance of any wrong rejection is at most alpha.

    Source: S. Holm, A simple sequentially rejective multiple test procedure (1979).
    """
    order = np.argsort(p_values, kind="stable")
    passed = p_values[order] <= alpha / np.arange(len(order), 0, -1)
    stop = len(order) if passed.all() else int(np.argmin(passed))
    rejected = np.zeros(len(order), dtype=np.bool_)
    rejected[order[:stop]] = True
    return rejected


def conditions_needed(tests: int, *, sided: bool, alpha: float = ALPHA) -> int:
    """How many conditions, all changed the same way, the least p-value needs to pass Holm's first threshold."""
    return math.ceil(math.log2((1 if sided else 2) * max(tests, 1) / alpha))
