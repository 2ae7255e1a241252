"""The metrics of a unit's final pictures."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from compute.metrics.registry import MetricSet
from compute.metrics.semantic import of_other_prompt
from store.metric import MetricValues
from store.records import PromptSwitch, Unit


def unit_metrics(
    metric_set: MetricSet,
    final: Float[np.ndarray, "B 3 H W"],
    baseline: Float[np.ndarray, "B 3 H W"] | None,
    unit: Unit,
    device: torch.device | str = "cpu",
) -> tuple[MetricValues, ...]:
    """Compute every metric of a unit's final pictures in [-1, 1].

    A baseline has no other picture to compare with and gets only the metrics that need none. After a prompt switch,
    metrics that read the prompt are computed for both prompts.
    """
    pictures = _tensor(final, device)
    reference = pictures if baseline is None else _tensor(baseline, device)
    values = metric_set.compute(pictures, reference, [condition.prompt for condition in unit.conditions])
    other_values = None
    if isinstance(unit.intervention, PromptSwitch):
        other_values = metric_set.compute(pictures, reference, unit.intervention.prompts)
    results = []
    for name, metric in metric_set.descriptors.items():
        if metric.info.paired and baseline is None:
            continue
        if name in metric_set.absent:
            results.append(MetricValues(info=metric.info, absent=metric_set.absent[name]))
            continue
        results.append(MetricValues(info=metric.info, values=values[name]))
        if other_values is not None and not metric.info.paired:
            results.append(MetricValues(info=of_other_prompt(metric.info), values=other_values[name]))
    return tuple(results)


def _tensor(pictures: Float[np.ndarray, "B 3 H W"], device: torch.device | str) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures, dtype=np.float32)).to(device)
