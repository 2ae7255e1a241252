"""The kernel distance (KID) between two sets of pictures, in blocks, from which an interval can be estimated."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from compute.metrics.pixel import piq_package

BLOCKS = 10
SMALLEST_BLOCK = 10


def kid_blocks(features: Float[Tensor, "N D"], reference: Float[Tensor, "N D"]) -> list[float]:
    """Return the kernel inception distance (Bińkowski et al., arXiv 1801.01401; piq's) of each of disjoint blocks.

    There are BLOCKS blocks of equal size, fewer where a block would have less than SMALLEST_BLOCK rows; the result is
    empty where there would be fewer than two. The rows that do not fill a block are not used. The estimator is unbiased
    at any size, so the mean over blocks is, too, and their spread gives its interval.

    Row i of both arguments may belong to the same caption, but the estimator requires independent sets: each block is
    compared with the reference of the next one. Features are divided by the root mean square of the reference, since
    the kernel adds 1 to their product.
    """
    blocks = min(BLOCKS, len(features) // SMALLEST_BLOCK)
    if blocks < 2:
        return []
    kid = piq_package().KID()
    scale = reference.double().square().mean().sqrt()
    size = len(features) // blocks
    scaled = ((tensor.double() / scale)[: blocks * size] for tensor in (features, reference))
    feature_blocks, reference_blocks = (tensor.split(size) for tensor in scaled)
    next_reference = (*reference_blocks[1:], reference_blocks[0])
    return [float(kid(block, other)) for block, other in zip(feature_blocks, next_reference, strict=True)]
