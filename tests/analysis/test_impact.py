"""Damage: a ratio of means with a paired bootstrap, and the impact of a whole sweep."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from compute.analysis.impact import CONFIDENCE, damage_of, kind_of

Floats = npt.NDArray[np.float64]
sizes = st.integers(1, 12)


def positive(low: float = 0.01) -> st.SearchStrategy[Floats]:
    return sizes.flatmap(lambda n: hnp.arrays(np.float64, n, elements=st.floats(low, 10)))


@given(positive())
def test_another_seed_has_damage_one(reseeds: Floats) -> None:
    found = damage_of(reseeds, reseeds)
    assert (found.mean, found.low, found.high) == pytest.approx((1, 1, 1))


@given(positive())
def test_an_identical_picture_has_damage_zero(reseeds: Floats) -> None:
    found = damage_of(np.zeros_like(reseeds), reseeds)
    assert (found.mean, found.low, found.high) == (0, 0, 0)


@given(positive(), st.floats(0.1, 10), st.floats(0.1, 10))
def test_damage_has_no_unit(distances: Floats, factor: float, unit: float) -> None:
    reseeds = distances[::-1] + 0.5
    ours, scaled = damage_of(distances, reseeds), damage_of(factor * unit * distances, unit * reseeds)
    assert scaled.mean == pytest.approx(factor * ours.mean)
    assert (scaled.low, scaled.high) == pytest.approx((factor * ours.low, factor * ours.high))


@given(positive())
def test_one_condition_alone_has_no_spread_and_more_have_an_ordered_one(distances: Floats) -> None:
    found = damage_of(distances, np.ones_like(distances))
    assert found.low <= found.high
    assert distances.min() - 1e-9 <= found.low
    assert found.high <= distances.max() + 1e-9
    if len(distances) == 1:
        assert found.low == pytest.approx(found.high)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_the_interval_equals_a_slow_bootstrap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    distances, reseeds = rng.exponential(size=20), 1 + rng.random(20)
    found = damage_of(distances, reseeds)
    slow = []
    for _ in range(4000):
        rows = rng.integers(20, size=20)
        slow.append(sum(distances[rows]) / sum(reseeds[rows]))
    low, high = np.quantile(slow, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    assert found.low == pytest.approx(low, rel=0.12)
    assert found.high == pytest.approx(high, rel=0.12)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        distances, reseeds = rng.normal(2, 0.5, size=40), rng.normal(4, 0.5, size=40)
        found = damage_of(distances, reseeds)
        inside += found.low <= 0.5 <= found.high
    assert 0.88 <= inside / 200 <= 0.99


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("unet", "unet"),
        ("skip:down_blocks.0.resnets.1", "skip"),
        ("mid_block.attentions.0", "attention"),
        ("up_blocks.2.resnets.0", "resnet"),
        ("up_blocks.0.upsamplers.0", "upsampler"),
        ("down_blocks.1.downsamplers.0", "downsampler"),
    ],
)
def test_kinds_by_name(name: str, kind: str) -> None:
    assert kind_of(name) == kind
