"""The weights that a user names for metrics: they are large, and never downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class MetricWeights:
    """Where the weights of metrics lie. Without a path, a family looks at its environment variable."""

    lpips_trunk: Path | None = None
    """The file with LPIPS' trunk. See `compute.metrics.perceptual.load`."""
    clip: Path | None = None
    """The folder of a CLIP model. See `compute.metrics.clip.load`."""


NO_WEIGHTS = MetricWeights()
"""Nothing is named."""
