"""The damage scale: its two ends, its intervals, and a slow reference."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.analysis.impact import (
    BOOTSTRAP_SAMPLES,
    CONFIDENCE,
    AblationImpact,
    Estimate,
    Impact,
    damage_of,
)
from compute.analysis.text import describe_impact
from store.records import Window

DISTANCES = st.lists(st.floats(0, 10), min_size=1, max_size=12).map(np.array)
PAIRS = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        st.lists(st.floats(0, 10), min_size=n, max_size=n).map(np.array),
        st.lists(st.floats(0.01, 10), min_size=n, max_size=n).map(np.array),
    )
)


@given(DISTANCES.filter(lambda it: it.min() > 1e-6))
def test_as_far_as_another_seed_is_one(distances: np.ndarray) -> None:
    assert damage_of(distances, distances.copy()) == Estimate(mean=1.0, low=1.0, high=1.0)


@given(DISTANCES)
def test_the_same_picture_is_zero(reseeds: np.ndarray) -> None:
    assert damage_of(np.zeros_like(reseeds), reseeds) == Estimate(mean=0.0, low=0.0, high=0.0)


@settings(deadline=None)
@given(PAIRS)
def test_the_interval_holds_the_mean(pair: tuple[np.ndarray, np.ndarray]) -> None:
    found = damage_of(*pair)
    slack = 1e-9 * (1 + found.mean)
    assert found.low - slack <= found.mean <= found.high + slack


@settings(deadline=None)
@given(PAIRS, st.floats(0.1, 100))
def test_the_metrics_unit_does_not_matter(pair: tuple[np.ndarray, np.ndarray], scale: float) -> None:
    first, second = damage_of(*pair), damage_of(pair[0] * scale, pair[1] * scale)
    for name in ("mean", "low", "high"):
        assert getattr(second, name) == pytest.approx(getattr(first, name), rel=1e-6, abs=1e-9)


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
    found = damage_of(*pair)
    assert found.mean == pytest.approx(sum(distances) / sum(reseeds), rel=1e-9, abs=1e-12)
    assert found.low == pytest.approx(quantile(tail), rel=1e-6, abs=1e-9)
    assert found.high == pytest.approx(quantile(1 - tail), rel=1e-6, abs=1e-9)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """40 conditions of known mean ratio 0.5, 200 times; a percentile interval is known to be a little too short."""
    rng, hits = np.random.default_rng(3), 0
    for trial in range(200):
        reseeds = rng.gamma(4.0, 1.0, 40)
        distances = 0.5 * reseeds * rng.gamma(4.0, 0.25, 40)
        found = damage_of(distances, reseeds, seed=trial)
        hits += found.low <= 0.5 <= found.high
    assert 0.88 <= hits / 200 <= 0.99


def test_nothing_to_compare_is_not_a_number() -> None:
    assert math.isnan(damage_of(np.array([]), np.array([])).mean)


def impact(null: float = 0.0) -> Impact:
    estimate = Estimate(mean=null, low=null, high=null)
    some = [
        AblationImpact(
            components=f"block.{i}", action="bypass", window=Window(start=start, stop=start + 2), conditions=3,
            damage=Estimate(mean=i / 10 + start, low=i / 10, high=i / 10 + 9),
        )
        for start in (2, 0)
        for i in range(6)
    ]  # fmt: skip
    return Impact(path="x", metric="mse", null=estimate, reseed=0.2, ablations=tuple(some))


def test_windows_in_order_and_the_most_harmful_first() -> None:
    found = impact()
    assert [str(window) for window in found.windows] == ["0-1", "2-3"]
    assert [a.components for a in found.in_window(found.windows[0])] == [f"block.{i}" for i in (5, 4, 3, 2, 1, 0)]


def test_json_has_no_nan() -> None:
    document = json.loads(json.dumps(impact(math.nan).as_json(), allow_nan=False))
    assert document["null"] is None
    assert document["ablations"][0]["window"] == [2, 4]


def test_the_text_names_both_ends_of_each_window() -> None:
    lines = describe_impact(impact()).splitlines()
    first = lines.index("steps 0-1: mean damage 0.250")
    assert lines[first + 1] == "  matter most" and "block.5" in lines[first + 2]
    least = lines.index("  matter least", first)
    assert "block.0" in lines[least + 1]
