"""Metrics of a picture's quality: paired ones compare it with its baseline, the others with its prompt."""

from compute.metrics.metric import Metric, MetricError
from compute.metrics.registry import KNOWN, MetricSet, Sources, metrics

__all__ = ["KNOWN", "Metric", "MetricError", "MetricSet", "Sources", "metrics"]
