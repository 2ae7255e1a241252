"""KID in blocks equals the published unbiased estimator on disjoint blocks of both sets; the Fréchet distance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.metrics.pixel import piq_package
from compute.metrics.population import BLOCKS, SMALLEST_BLOCK, frechet_distance, kid_blocks

Floats = npt.NDArray[np.float64]


def unbiased_mmd(x: Floats, y: Floats) -> float:
    """Return equation 4 of arXiv 1801.01401 with the kernel (x . y / D + 1)^3, computed pair by pair."""
    n, m, width = len(x), len(y), x.shape[1]

    def kernel(a: Floats, b: Floats) -> float:
        return float((a @ b / width + 1) ** 3)

    own = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    theirs = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    across = sum(kernel(a, b) for a in x for b in y) / (n * m)
    return own + theirs - 2 * across


def features(count: int, seed: int, centre: float = 0.0) -> torch.Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(seed)) + centre


def scaled(features: torch.Tensor, reference: torch.Tensor) -> Floats:
    """Divide features by the root mean square of the reference, in double precision."""
    divided: Floats = (features.double() / reference.double().square().mean().sqrt()).numpy()
    return divided


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 129), st.integers(0, 1000))
def test_each_block_is_the_unbiased_estimate_against_the_next_ones_reference(count: int, seed: int) -> None:
    reference = features(count, seed + 1, 0.5)
    ours, theirs = scaled(features(count, seed), reference), scaled(reference, reference)
    blocks = min(BLOCKS, count // SMALLEST_BLOCK)
    size = count // blocks if blocks > 1 else 0
    rows = [slice(i * size, (i + 1) * size) for i in range(blocks)] if blocks > 1 else []
    expected = [unbiased_mmd(ours[a], theirs[b]) for a, b in zip(rows, [*rows[1:], *rows[:1]], strict=True)]
    blocks_kid = kid_blocks(features(count, seed), reference)
    assert blocks_kid == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert len(rows) * size > count - max(1, blocks) or blocks < 2, "only the rest of a block is left out"


def test_each_block_is_the_kid_of_piq() -> None:
    ours, theirs = features(200, 0), features(200, 1)
    scale = theirs.square().mean().sqrt()
    blocks = zip((ours / scale).chunk(10), (theirs / scale).roll(-20, 0).chunk(10), strict=True)
    assert kid_blocks(ours, theirs) == pytest.approx([float(piq_package().KID()(a, b)) for a, b in blocks], rel=1e-3)


def test_the_scale_of_features_does_not_matter() -> None:
    ours, theirs = features(40, 0), features(40, 1, 0.5)
    assert kid_blocks(1000 * ours, 1000 * theirs) == pytest.approx(kid_blocks(ours, theirs))


def test_rows_are_not_compared_with_the_same_rows_of_the_reference() -> None:
    """The estimator requires independent sets; for the same captions it would be biased downwards."""
    theirs = features(200, 1)
    assert abs(np.mean(kid_blocks(theirs.clone(), theirs))) < 0.15


@pytest.mark.parametrize("count", [0, 1, SMALLEST_BLOCK, 2 * SMALLEST_BLOCK - 1])
def test_few_pictures_have_no_blocks(count: int) -> None:
    assert kid_blocks(features(count, 0), features(count, 1)) == []


def test_the_estimate_is_near_0_for_the_same_distribution_and_large_for_another() -> None:
    same, far = (np.array(kid_blocks(features(400, 0), features(400, 1, centre))) for centre in (0.0, 3.0))
    assert same.min() < 0 < same.max(), "an unbiased estimate is sometimes negative"
    assert abs(same.mean()) < 0.2 < 2 < far.min()


def test_half_precision_does_not_overflow() -> None:
    big = features(20, 0).half() * 100
    assert kid_blocks(big, features(20, 1).half() * 100) == pytest.approx(
        kid_blocks(big.double(), (features(20, 1).half() * 100).double())
    )


@pytest.mark.parametrize("counts", [(40, 200), (200, 40)])
def test_rows_that_the_shorter_set_lacks_are_not_used(counts: tuple[int, int]) -> None:
    ours, theirs = features(counts[0], 0), features(counts[1], 1, 0.5)
    scale = theirs.square().mean().sqrt()  # of the whole reference
    blocks = zip((ours[:40] / scale).chunk(4), (theirs[:40] / scale).roll(-10, 0).chunk(4), strict=True)
    assert kid_blocks(ours, theirs) == pytest.approx([float(piq_package().KID()(a, b)) for a, b in blocks], rel=1e-3)


@settings(max_examples=20, deadline=None)
@given(st.integers(20, 60), st.integers(20, 60), st.integers(0, 1000))
def test_the_frechet_distance_is_piqs(count: int, others: int, seed: int) -> None:
    ours, theirs = features(count, seed), 1.5 * features(others, seed + 1, 0.7)
    expected = float(piq_package().FID()(ours.double(), theirs.double()))
    assert frechet_distance(ours, theirs) == pytest.approx(expected, rel=1e-3)


def test_the_frechet_distance_of_known_distributions() -> None:
    """Along one axis it is the squared difference of the means and of the deviations."""
    ours, theirs = torch.tensor([[-1.0], [1.0]]), torch.tensor([[2.0], [8.0]])
    assert frechet_distance(ours, theirs) == pytest.approx(5**2 + 2 * (3 - 1) ** 2)  # deviations with n - 1


def test_the_frechet_distance_with_fewer_rows_than_features() -> None:
    """The covariances are singular, and rounding does not make the distance of equal sets negative."""
    few = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    assert 0 <= frechet_distance(few, few.clone()) < 1e-10
    centre, roots = few.double().mean(0), []
    for rows in (few.double(), 2 * few.double()):
        values, vectors = torch.linalg.eigh(rows.T.cov())
        roots.append(vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T)
    across = torch.linalg.eigvalsh(roots[0] @ roots[1] @ roots[1] @ roots[0]).clamp(min=0).sqrt().sum()
    traces = sum(root.square().sum() for root in roots)
    expected = float(centre.square().sum() + traces - 2 * across)
    assert frechet_distance(few, 2 * few) == pytest.approx(expected, rel=1e-6)
