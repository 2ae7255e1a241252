"""The speed of a sweep and its interval, from made-up times."""

from __future__ import annotations

import numpy as np
import pytest

from store.care.speed import LEAST_UNITS, measured_speed


def _finished(rng: np.random.Generator, count: int, spread: float) -> list[tuple[float, float]]:
    """Units of 1 to 25 evaluations, each taking a second give or take a share `spread`."""
    costs = rng.integers(1, 26, count).astype(float)
    seconds = costs * np.exp(spread * rng.normal(size=count))
    return list(zip((100 + np.cumsum(seconds)).tolist(), costs.tolist(), strict=True))


def test_the_speed_knows_that_units_differ_in_cost() -> None:
    cheap_then_dear = [(100.0 + second, 1.0) for second in range(1, 11)]
    cheap_then_dear += [(110.0 + 10 * number, 10.0) for number in range(1, 11)]
    speed = measured_speed(cheap_then_dear, 100.0)
    assert speed is not None and speed.evaluations == pytest.approx(1) and speed.seconds(50) == pytest.approx(50)
    assert speed.seconds_range(50) == pytest.approx((50, 50))


def test_the_range_holds_the_time_that_it_takes() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        speed = measured_speed(_finished(rng, 40, 0.5), 100.0)
        assert speed is not None
        low, high = speed.seconds_range(1000) or (0.0, 0.0)
        assert low <= speed.seconds(1000) <= high
        held += low <= 1000 * np.exp(0.5**2 / 2) <= high
    assert 0.85 < held / 200 < 1


def test_few_units_have_no_range() -> None:
    assert measured_speed([], 100.0) is None
    few = measured_speed(_finished(np.random.default_rng(0), LEAST_UNITS - 1, 0.5), 100.0)
    assert few is not None and few.seconds_range(10) is None
