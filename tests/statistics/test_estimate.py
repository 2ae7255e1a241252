"""Means and ratios over conditions: the two ends of the damage scale, intervals, and a slow reference."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.statistics.estimate import (
    BOOTSTRAP_SAMPLES,
    CONFIDENCE,
    Estimate,
    bootstrap_rows,
    bootstrap_weights,
    bounded,
    mean_of,
    means_of,
    ratio_of,
    ratios_of,
    unseen_share,
)

DISTANCES = st.lists(st.floats(0, 10), min_size=1, max_size=12).map(np.array)
PAIRS = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        st.lists(st.floats(0, 10), min_size=n, max_size=n).map(np.array),
        st.lists(st.floats(0.01, 10), min_size=n, max_size=n).map(np.array),
    )
)


def same(one: Estimate, another: Estimate, relative: float = 1e-6) -> None:
    for name in ("mean", "low", "high"):
        assert getattr(one, name) == pytest.approx(getattr(another, name), rel=relative, abs=1e-9)


@given(DISTANCES.filter(lambda it: it.min() > 1e-6))
def test_as_far_as_another_seed_is_one(distances: np.ndarray) -> None:
    same(ratio_of(distances, distances.copy()), Estimate(mean=1.0, low=1.0, high=1.0), 1e-12)


@given(DISTANCES)
def test_the_same_picture_is_exactly_zero(reseeds: np.ndarray) -> None:
    assert ratio_of(np.zeros_like(reseeds), reseeds) == Estimate(mean=0.0, low=0.0, high=0.0)


@settings(deadline=None)
@given(PAIRS)
def test_the_interval_holds_the_mean(pair: tuple[np.ndarray, np.ndarray]) -> None:
    found = ratio_of(*pair)
    slack = 1e-9 * (1 + found.mean)
    assert found.low - slack <= found.mean <= found.high + slack


@settings(deadline=None)
@given(PAIRS, st.floats(0.1, 100))
def test_the_metrics_unit_does_not_matter(pair: tuple[np.ndarray, np.ndarray], scale: float) -> None:
    same(ratio_of(*pair), ratio_of(pair[0] * scale, pair[1] * scale))


@settings(max_examples=15, deadline=None)
@given(PAIRS)
def test_against_a_slow_reference(pair: tuple[np.ndarray, np.ndarray]) -> None:
    distances, reseeds = (it.tolist() for it in pair)
    rng, n = np.random.default_rng(0), len(distances)
    ratios = []
    for row in rng.integers(n, size=(BOOTSTRAP_SAMPLES, n)):
        ratios.append((sum(distances[i] for i in row) / n) / (sum(reseeds[i] for i in row) / n))
    ratios.sort()

    def quantile(share: float) -> float:
        place = share * (len(ratios) - 1)
        below = ratios[math.floor(place)]
        return below + (ratios[math.ceil(place)] - below) * (place - math.floor(place))

    tail = (1 - CONFIDENCE) / 2
    expected = Estimate(mean=sum(distances) / sum(reseeds), low=quantile(tail), high=quantile(1 - tail))
    same(ratio_of(*pair), expected)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_many_at_once_are_as_one_by_one(conditions: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    above, below = rng.normal(size=(1203, conditions)), rng.uniform(0.1, 1, conditions)
    ratios, means = ratios_of(above, below), means_of(above)
    for row in (0, 999, 1000, 1202):
        same(ratios[row], ratio_of(above[row], below))
        same(means[row], mean_of(above[row]))


@given(st.integers(1, 30))
def test_weights_are_the_samples(count: int) -> None:
    values = np.arange(count) ** 1.5
    assert bootstrap_weights(count) @ values == pytest.approx(values[bootstrap_rows(count)].mean(1))


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """40 conditions of known mean ratio 0.5, 200 times; a percentile interval is known to be a little too short."""
    rng, hits = np.random.default_rng(3), 0
    for trial in range(200):
        reseeds = rng.gamma(4.0, 1.0, 40)
        distances = 0.5 * reseeds * rng.gamma(4.0, 0.25, 40)
        found = ratio_of(distances, reseeds, seed=trial)
        hits += found.low <= 0.5 <= found.high
    assert 0.88 <= hits / 200 <= 0.99


def test_nothing_gives_no_estimate() -> None:
    with pytest.raises(ValueError, match="at least one condition"):
        mean_of(np.array([]))
    with pytest.raises(ValueError, match="at least one condition"):
        ratio_of(np.array([]), np.array([]))


@given(st.integers(1, 400))
@settings(max_examples=30, deadline=None)
def test_what_was_never_seen_may_still_happen(count: int) -> None:
    share = unseen_share(count)
    assert (1 - share) ** count == pytest.approx(1 - CONFIDENCE)
    none, all_of_them = (bounded(mean_of(np.full(count, value)), count) for value in (0.0, 1.0))
    assert (none.low, none.high) == (0, share)
    assert (all_of_them.low, all_of_them.high) == pytest.approx((1 - share, 1))
    equal = bounded(mean_of(np.zeros(count)), count, least=-1)
    assert (equal.low, equal.high) == (-share, share)


def test_0_of_32_means_at_most_about_9_percent() -> None:
    assert round(unseen_share(32), 2) == 0.09
    varied = mean_of(np.array([0.0, 1.0] * 16))
    assert bounded(varied, 32) == varied
