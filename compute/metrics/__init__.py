"""Quality of a picture: against its own baseline (paired) or against its prompt."""

from compute.metrics.metric import Metric, MetricError
from compute.metrics.registry import KNOWN, MetricSet, Sources, metrics

__all__ = ["KNOWN", "Metric", "MetricError", "MetricSet", "Sources", "metrics"]
