"""Metrics, and the families in which they are computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from store.errors import SkipscopeError
from store.metric import MetricInfo


class MetricError(SkipscopeError):
    """An unknown metric, or pictures that cannot be measured."""


class AbsentError(Exception):
    """A metric is not available; the message is the reason."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric: its description, and the smallest height and width of the pictures that it accepts."""

    info: MetricInfo
    smallest: int = 1

    @property
    def name(self) -> str:
        """The metric's name."""
        return self.info.name


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Pictures, the baselines of their conditions, both in [-1, 1], and their prompts."""

    pictures: Float[Tensor, "B 3 H W"]
    baseline: Float[Tensor, "B 3 H W"]
    prompts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Family:
    """Metrics that are computed together."""

    compute: Callable[[Sequence[str], Batch], Mapping[str, Float[Tensor, " B"]]]
    """Computes the metrics of the given names, one value per picture."""
    weights: str | None = None
    """The digest of the weights that the metrics are computed with, None where they need no weights."""


def paired(functions: Mapping[str, Callable[[Tensor, Tensor], Tensor]], weights: str | None = None) -> Family:
    """Return a family of paired metrics, each a function of pictures and baselines."""

    def compute(names: Sequence[str], batch: Batch) -> Mapping[str, Tensor]:
        return {name: functions[name](batch.pictures, batch.baseline) for name in names}

    return Family(compute=compute, weights=weights)
