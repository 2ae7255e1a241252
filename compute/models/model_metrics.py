"""The metrics of a model: those that read the prompt use the judge of its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compute.metrics.registry import MetricSet, Sources, metrics
from compute.models.judges import judge_for
from compute.models.source import ModelSource


def metrics_for(source: ModelSource, names: Sequence[str], lpips_trunk: Path | None, device: str) -> MetricSet:
    """Return the metrics of these names for a model, with its judge if it has one. Raises MetricError."""
    return metrics(names, Sources(lpips_trunk=lpips_trunk, judge=judge_for(source), device=device))
