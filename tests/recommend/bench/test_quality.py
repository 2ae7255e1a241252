"""Quality and comparisons, on pictures and features that are made up."""

from __future__ import annotations

import numpy as np
import pytest

from compute.recommend.bench.quality import Yardstick
from compute.recommend.bench.results import Outcome
from compute.statistics.frechet import FrechetReference

COUNT = 40
RNG = np.random.default_rng(3)
BASE = RNG.integers(40, 200, (COUNT, 3, 4, 4)).astype(np.uint8)
REAL = FrechetReference.of(RNG.standard_normal((500, 6)), 4)


def outcome(pictures: np.ndarray, right: np.ndarray | None = None, shift: float = 0.0) -> Outcome:
    """An outcome with the same random features for every call, moved by `shift`."""
    features = (np.random.default_rng(9).standard_normal((COUNT, 6)) + shift).astype(np.float32)
    return Outcome(
        pictures=pictures,
        fidelity={} if right is None else {"all": right.astype(np.float32)},
        features=features,
        seconds=np.array([0.5, 0.1, 0.2]),
    )


def moved(by: int) -> np.ndarray:
    return (BASE + by).astype(np.uint8)


YARD = Yardstick(baseline=outcome(BASE), reseeded=outcome(moved(20)), metric="mse", real=REAL)


def test_damage_and_distance_are_1_for_another_seed() -> None:
    quality = YARD.quality(outcome(moved(20)), full=outcome(BASE), reference=outcome(moved(10)))
    assert quality.damage is not None and quality.distance is not None
    assert quality.damage.mean == pytest.approx(1)
    assert quality.distance.mean == pytest.approx(0.25)
    assert quality.seconds == 0.2
    assert quality.fidelity == {} and quality.value("fidelity") is None


def test_the_tail_shows_a_few_pictures_that_changed_much() -> None:
    pictures = BASE.copy()
    pictures[:4] = moved(40)[:4]
    quality = YARD.quality(outcome(pictures), full=outcome(BASE))
    assert quality.damage is not None
    assert quality.damage.mean == pytest.approx(4 * 4 / COUNT)
    assert quality.tail["damage"] == pytest.approx(4)
    assert quality.distance is None and "distance" not in quality.tail


def test_fidelity_is_a_share_with_an_interval_of_some_width() -> None:
    right = np.ones(COUNT)
    quality = YARD.quality(outcome(BASE, right))
    assert quality.fidelity["all"].mean == 1 and quality.fidelity["all"].low < 1
    right[:10] = np.nan  # what the judge can't say
    right[10:25] = 0
    assert YARD.quality(outcome(BASE, right)).value("fidelity") == pytest.approx(0.5)


def test_a_comparison_is_paired_and_exact() -> None:
    """McNemar: 9 prompts better and 1 worse, p = 2 (1 + 10) / 2**10."""
    own, other = np.zeros(COUNT), np.zeros(COUNT)
    own[:9], other[9] = 1, 1
    compared = YARD.compared(outcome(BASE, own), outcome(BASE, other), "fidelity", rival="B")
    assert compared.fidelity is not None and compared.fidelity.mean == pytest.approx(8 / COUNT)
    assert compared.p == pytest.approx(2 * (1 + 10) / 2**10)
    assert compared.criterion == compared.fidelity and compared.rival == "B"


def test_a_paired_difference_of_frechet_distances_is_narrower_than_its_parts() -> None:
    near, far = outcome(BASE, shift=0.5), outcome(BASE, shift=0.6)
    compared = YARD.compared(far, near, "frechet", rival="near")
    parts = [YARD.quality(o).frechet for o in (near, far)]
    assert compared.criterion is not None and parts[0] is not None and parts[1] is not None
    assert compared.criterion.mean == pytest.approx(parts[1].mean - parts[0].mean)
    assert compared.criterion.low > 0 and parts[1].low < parts[0].high, "only the pairs tell them apart"


def test_a_difference_of_damages_is_each_against_its_own_full_run() -> None:
    against = (outcome(BASE), outcome(moved(5)))
    compared = YARD.compared(outcome(moved(20)), outcome(moved(15)), "damage", rival="B", against=against)
    assert compared.criterion is not None and compared.criterion.mean == pytest.approx((400 - 100) / 400)
    assert compared.fidelity is None and compared.p is None
