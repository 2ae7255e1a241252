"""The metrics of a model: those that read the prompt use the judge of its pictures."""

from __future__ import annotations

from collections.abc import Sequence

from compute.metrics.metric import MetricError
from compute.metrics.metric_weights import MetricWeights
from compute.metrics.registry import MetricSet, Sources, metrics
from compute.models.judges import judge_for
from compute.models.source import ModelSource


def metrics_for(source: ModelSource, names: Sequence[str], weights: MetricWeights, device: str) -> MetricSet:
    """Return the metrics of these names for a model, with its judge if it has one. Raises MetricError."""
    sources = Sources(lpips_trunk=weights.lpips_trunk, clip=weights.clip, judge=judge_for(source), device=device)
    return metrics(names, sources)


def check_named_weights(metric_set: MetricSet, weights: MetricWeights) -> None:
    """Raise MetricError where a metric is absent although the user has named its weights as an argument."""
    named = {"lpips": ("lpips-trunk", weights.lpips_trunk), "clip_score": ("clip", weights.clip)}
    for name, (option, path) in named.items():
        if path is not None and name in metric_set.absent:
            raise MetricError(f"--{option}: {name} can't be measured: {metric_set.absent[name]}")
