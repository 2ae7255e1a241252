"""Proportions with Wilson's interval."""

from __future__ import annotations

import math
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.statistics.proportion import Proportion


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662), (1, 1, 0.2065, 1.0)],
)
def test_published_intervals(successes: int, count: int, low: float, high: float) -> None:
    """The third is the example of R. G. Newcombe, Statistics in Medicine 17 (1998), 857 to 872."""
    proportion = Proportion.of([1.0] * successes + [0.0] * (count - successes))
    assert proportion.mean == successes / count
    assert (proportion.low, proportion.high) == pytest.approx((low, high), abs=1e-4)
    assert proportion.count == count


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_the_interval_contains_the_mean(values: list[float]) -> None:
    proportion = Proportion.of(values)
    assert proportion.low - 1e-12 <= proportion.mean <= proportion.high + 1e-12


def test_no_values_have_no_proportion() -> None:
    proportion = Proportion.of([])
    assert proportion.count == 0
    assert all(math.isnan(value) for name, value in asdict(proportion).items() if name != "count")
