"""The Fréchet distance in principal directions: its value, and how often its interval covers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from compute.metrics.population import frechet_distance
from compute.statistics.frechet import FrechetReference

RNG = np.random.default_rng(5)
MIXING = RNG.standard_normal((12, 12)) * np.linspace(2, 0.2, 12)


def rows(count: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """Correlated features."""
    return (np.random.default_rng(seed).standard_normal((count, 12)) @ MIXING + shift).astype(np.float32)


def test_in_all_directions_it_is_the_distance_of_the_normal_distributions() -> None:
    own, reference = rows(60, 1, 0.3), rows(200, 2)
    expected = frechet_distance(torch.from_numpy(own), torch.from_numpy(reference))
    assert FrechetReference.of(reference, 12).distance(own) == pytest.approx(expected, rel=1e-6)


def test_directions_are_those_of_greatest_variance_and_fixed_by_the_reference() -> None:
    reference = FrechetReference.of(rows(400, 2), 3)
    assert reference.directions.shape == (12, 3)
    assert np.all(np.diff(reference.variances) <= 0)
    centred = rows(400, 2) - rows(400, 2).mean(0)
    assert np.allclose(np.var(centred @ reference.directions, axis=0, ddof=1), reference.variances, rtol=1e-4)
    own = rows(60, 1, 0.3)
    projected = FrechetReference.of(rows(400, 2) @ reference.directions, 3)
    assert reference.distance(own) == pytest.approx(projected.distance(own @ reference.directions), rel=1e-4)


def test_a_distance_is_not_negative_and_0_for_the_reference_itself() -> None:
    reference = rows(50, 3)
    assert FrechetReference.of(reference, 5).distance(reference) == pytest.approx(0, abs=1e-6)
    estimate = FrechetReference.of(reference, 5).estimate(rows(50, 4))
    assert 0 <= estimate.low <= estimate.high


def test_intervals_cover_what_other_pictures_of_the_same_kind_show() -> None:
    """Of 100 sets most have the mean over sets in their interval, and so have differences."""
    reference = FrechetReference.of(rows(3000, 0), 6)
    near, far = ([reference.distance(rows(80, 1000 + i, s)) for i in range(300)] for s in (0.15, 0.4))
    expected, difference = np.mean(far), np.mean(np.array(far) - np.array(near))
    covered = differences = 0
    for i in range(100):
        one = reference.estimate(rows(80, 5000 + i, 0.4))
        covered += one.low <= expected <= one.high
        both = reference.difference(rows(80, 5000 + i, 0.4), rows(80, 5000 + i, 0.15))
        differences += both.low <= difference <= both.high
    assert 88 <= covered <= 100
    assert 88 <= differences <= 100


def test_a_reference_needs_two_rows() -> None:
    with pytest.raises(ValueError, match="two rows"):
        FrechetReference.of(rows(1, 0))
