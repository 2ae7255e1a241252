"""Kernel distance between two sets of pictures in a judge's features (KID), in blocks, so that it has an interval."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from compute.metrics.pixel import piq_package

BLOCKS = 10
SMALLEST_BLOCK = 10


def kid_blocks(features: Float[Tensor, "N D"], reference: Float[Tensor, "N D"]) -> list[float]:
    """Kernel inception distance (Bińkowski et al., arXiv 1801.01401; piq's) of each of BLOCKS disjoint blocks.

    The estimator is unbiased at any size, so the mean over blocks is, too, and their spread gives its interval. Fewer
    blocks where there are few pictures; none where there are fewer than two of SMALLEST_BLOCK.
    """
    blocks = min(BLOCKS, len(features) // SMALLEST_BLOCK)
    if blocks < 2:
        return []
    kid = piq_package().KID()
    pairs = zip(features.double().tensor_split(blocks), reference.double().tensor_split(blocks), strict=True)
    return [float(kid(ours, theirs)) for ours, theirs in pairs]
