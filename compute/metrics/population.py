"""Distances between two sets of pictures: the kernel distance (KID), in blocks, and the Fréchet distance."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from compute.metrics.pixel import piq_package

BLOCKS = 10
SMALLEST_BLOCK = 10


def kid_blocks(features: Float[Tensor, "N D"], reference: Float[Tensor, "M D"]) -> list[float]:
    """Return the kernel inception distance (Bińkowski et al., arXiv 1801.01401; piq's) of each of disjoint blocks.

    There are BLOCKS blocks of equal size, fewer where a block would have less than SMALLEST_BLOCK rows; the result is
    empty where there would be fewer than two. Rows that do not fill a block, and those that the shorter of the two sets
    lacks, are not used. The estimator is unbiased at any size, so the mean over blocks is, too, and their spread gives
    its interval.

    Row i of both arguments may belong to the same caption, but the estimator requires independent sets: each block is
    compared with the reference of the next one. Features are divided by the root mean square of the reference, since
    the kernel adds 1 to their product.
    """
    rows = min(len(features), len(reference))
    blocks = min(BLOCKS, rows // SMALLEST_BLOCK)
    if blocks < 2:
        return []
    kid = piq_package().KID()
    scale = reference.double().square().mean().sqrt()
    size = rows // blocks
    scaled = ((tensor.double() / scale)[: blocks * size] for tensor in (features, reference))
    feature_blocks, reference_blocks = (tensor.split(size) for tensor in scaled)
    next_reference = (*reference_blocks[1:], reference_blocks[0])
    return [float(kid(block, other)) for block, other in zip(feature_blocks, next_reference, strict=True)]


def frechet_distance(features: Float[Tensor, "N D"], reference: Float[Tensor, "M D"]) -> float:
    """Return the Fréchet distance of the normal distributions fitted to both sets (Heusel et al., arXiv 1706.08500).

    It is |m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2)), 0 or more. It is biased upwards, the more the fewer the rows, so
    that values compare only at equal numbers. Both sets have at least two rows.
    """
    means, roots = zip(*(_mean_and_root(rows.double()) for rows in (features, reference)), strict=True)
    # C = R'R, so the eigenvalues of C1 C2 are the squares of the singular values of R1 R2'
    across = torch.linalg.svdvals(roots[0] @ roots[1].T).sum()
    distance = (means[0] - means[1]).square().sum() + sum(root.square().sum() for root in roots) - 2 * across
    return max(0.0, float(distance))


def _mean_and_root(rows: Float[Tensor, "N D"]) -> tuple[Float[Tensor, " D"], Float[Tensor, "K D"]]:
    """Return the mean of rows, and a matrix R whose R'R is their covariance."""
    mean = rows.mean(0)
    return mean, torch.linalg.qr((rows - mean) / (len(rows) - 1) ** 0.5, mode="r").R
