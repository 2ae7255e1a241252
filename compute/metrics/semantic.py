"""Prompt fidelity: whether a picture shows what its prompt says, as a scene judge reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from jaxtyping import Float
from torch import Tensor

from compute.metrics.metric import AbsentError, Batch, Family, Metric
from store.metric import MetricInfo

_PREFIX = "fidelity_"
_LABELS = {
    "objects": "right objects (share)",
    "relation": "right relation (share)",
    "background": "right background (share)",
    "all": "whole prompt right (share)",
}
METRICS = tuple(
    Metric(info=MetricInfo(name=_PREFIX + aspect, direction="higher", low=0, high=1, paired=False, label=label))
    for aspect, label in _LABELS.items()
)


def of_other_prompt(info: MetricInfo) -> MetricInfo:
    """The description of a metric here when it is asked of the prompt that a prompt switch leads to."""
    name = info.name.removeprefix(_PREFIX)
    return info.model_copy(update={"name": f"{_PREFIX}other_{name}", "label": f"{info.label}, of the other prompt"})


class Judge(Protocol):
    """Reads pictures and compares them with what their prompts say."""

    @property
    def digest(self) -> str:
        """Identifies its weights."""

    def fidelity(self, pictures: Float[Tensor, "B 3 H W"], prompts: Sequence[str]) -> Mapping[str, Float[Tensor, " B"]]:
        """For `objects`, `relation`, `background` and `all` the share (0 … 1) that is right, NaN where there is none.

        Pictures lie within [-1, 1].
        """


def load(judge: Judge | None) -> Family:
    """`fidelity_objects`, `_relation`, `_background` and `_all` by `judge`. Raises AbsentError without one."""
    if judge is None:
        raise AbsentError("it needs a scene judge, and this model has none")
    reader = judge

    def compute(names: Sequence[str], batch: Batch) -> Mapping[str, Tensor]:
        verdicts = reader.fidelity(batch.pictures, batch.prompts)
        return {name: verdicts[name.removeprefix(_PREFIX)] for name in names}

    return Family(compute=compute, weights=judge.digest)
