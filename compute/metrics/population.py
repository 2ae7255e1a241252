"""Kernel distance between two sets of pictures in a judge's features (KID), in blocks, so that it has an interval."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from compute.metrics.pixel import piq_package

BLOCKS = 10
SMALLEST_BLOCK = 10


def kid_blocks(features: Float[Tensor, "N D"], reference: Float[Tensor, "N D"]) -> list[float]:
    """Kernel inception distance (Bińkowski et al., arXiv 1801.01401; piq's) of each of BLOCKS disjoint blocks.

    Row i of both may show the same caption. The estimator wants independent sets, so a block is compared with the
    reference of the next one. Features are scaled so that the reference's mean square is 1: the kernel adds 1 to their
    product. Unbiased at any size, the estimator is so in the mean over blocks, and their spread gives its interval.
    Fewer blocks where there are few pictures; none where there are fewer than two of SMALLEST_BLOCK. Blocks are equally
    large, as piq needs them; what does not fill one is left out.
    """
    blocks = min(BLOCKS, len(features) // SMALLEST_BLOCK)
    if blocks < 2:
        return []
    kid = piq_package().KID()
    scale = reference.double().square().mean().sqrt()
    size = len(features) // blocks
    ours, theirs = ((it.double() / scale)[: blocks * size].split(size) for it in (features, reference))
    return [float(kid(block, other)) for block, other in zip(ours, [*theirs[1:], theirs[0]], strict=True)]
