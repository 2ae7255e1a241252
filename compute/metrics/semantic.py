"""Prompt fidelity: how much of its prompt a picture shows, according to a judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from compute.metrics.judge import ASPECTS, Aspect, Judge
from compute.metrics.metric import AbsentError, Batch, Family, Metric
from store.metric import MetricInfo

_PREFIX = "fidelity_"
_LABELS: dict[Aspect, str] = {
    "objects": "right objects (share)",
    "relation": "right relation (share)",
    "background": "right background (share)",
    "all": "whole prompt right (share)",
}
METRICS = tuple(
    Metric(
        info=MetricInfo(name=_PREFIX + aspect, direction="higher", low=0, high=1, paired=False, label=_LABELS[aspect])
    )
    for aspect in ASPECTS
)


def of_other_prompt(info: MetricInfo) -> MetricInfo:
    """Return the description of an unpaired metric that is computed for the second prompt of a prompt switch."""
    fidelity = info.name.startswith(_PREFIX)
    name = f"{_PREFIX}other_{info.name.removeprefix(_PREFIX)}" if fidelity else f"{info.name}_other"
    return info.model_copy(update={"name": name, "label": f"{info.label}, of the other prompt"})


def load(judge: Judge | None) -> Family:
    """Return the fidelity metrics, one per aspect, as `judge` computes them. Raises AbsentError without a judge."""
    if judge is None:
        raise AbsentError("it needs a scene judge, and this model has none")

    def compute(names: Sequence[str], batch: Batch) -> Mapping[str, Tensor]:
        shares = {_PREFIX + aspect: values for aspect, values in judge.fidelity(batch.pictures, batch.prompts).items()}
        return {name: shares[name] for name in names}

    return Family(compute=compute, weights=judge.digest)
