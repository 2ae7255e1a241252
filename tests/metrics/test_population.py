"""KID in blocks: the published unbiased estimator, on disjoint blocks of both sets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.metrics.pixel import piq_package
from compute.metrics.population import BLOCKS, SMALLEST_BLOCK, kid_blocks

Floats = npt.NDArray[np.float64]


def unbiased_mmd(x: Floats, y: Floats) -> float:
    """Equation 4 of arXiv 1801.01401 with its kernel (x . y / D + 1)^3, pair by pair."""
    n, m, width = len(x), len(y), x.shape[1]

    def kernel(a: Floats, b: Floats) -> float:
        return float((a @ b / width + 1) ** 3)

    own = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    theirs = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    across = sum(kernel(a, b) for a in x for b in y) / (n * m)
    return own + theirs - 2 * across


def features(count: int, seed: int, centre: float = 0.0) -> torch.Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(seed)) + centre


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 119), st.integers(0, 1000))
def test_each_block_is_the_unbiased_estimate_of_its_own_pictures(count: int, seed: int) -> None:
    ours, theirs = features(count, seed), features(count, seed + 1, 0.5)
    found = kid_blocks(ours, theirs)
    blocks = min(BLOCKS, count // SMALLEST_BLOCK) if count >= 2 * SMALLEST_BLOCK else 0
    expected = [
        unbiased_mmd(ours[rows].double().numpy(), theirs[rows].double().numpy())
        for rows in (np.array_split(np.arange(count), blocks) if blocks else [])
    ]
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_it_is_the_kid_of_piq() -> None:
    ours, theirs = features(200, 0), features(200, 1)
    parts = zip(ours.double().chunk(10), theirs.double().chunk(10), strict=True)
    assert kid_blocks(ours, theirs) == pytest.approx([float(piq_package().KID()(a, b)) for a, b in parts], rel=1e-12)


@pytest.mark.parametrize("count", [0, 1, SMALLEST_BLOCK, 2 * SMALLEST_BLOCK - 1])
def test_of_few_pictures_there_is_none(count: int) -> None:
    assert kid_blocks(features(count, 0), features(count, 1)) == []


def test_the_same_distribution_is_near_0_on_both_sides_and_another_is_far() -> None:
    same, far = (np.array(kid_blocks(features(400, 0), features(400, 1, centre))) for centre in (0.0, 3.0))
    assert same.min() < 0 < same.max(), "it is unbiased, and so at times negative"
    assert abs(same.mean()) < 0.2 < 10 < far.min()


def test_half_precision_does_not_overflow() -> None:
    big = features(20, 0).half() * 100
    assert kid_blocks(big, features(20, 1).half() * 100) == pytest.approx(
        kid_blocks(big.double(), (features(20, 1).half() * 100).double())
    )
