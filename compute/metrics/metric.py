"""What a metric is, and what a family of metrics offers to the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from store.errors import SkipscopeError
from store.metric import MetricInfo


class MetricError(SkipscopeError):
    """An unknown metric, or pictures that a metric can't take."""


class AbsentError(Exception):
    """A metric can't be had here; its text is the reason, for people."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric that can be computed: its description, and the least height and width of the pictures it takes."""

    info: MetricInfo
    smallest: int = 1

    @property
    def name(self) -> str:
        """The metric's name."""
        return self.info.name


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What is measured: pictures beside the baselines of the same conditions, both within [-1, 1], and the prompts."""

    pictures: Float[Tensor, "B 3 H W"]
    baseline: Float[Tensor, "B 3 H W"]
    prompts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Family:
    """Metrics that are computed together, ready to use: `compute` gives the asked ones, (B,) each.

    `weights` identifies what they read pictures with, if anything.
    """

    compute: Callable[[Sequence[str], Batch], Mapping[str, Float[Tensor, " B"]]]
    weights: str | None = None


def paired(functions: Mapping[str, Callable[[Tensor, Tensor], Tensor]], weights: str | None = None) -> Family:
    """A family of independent metrics, each a function of pictures and baseline."""

    def compute(names: Sequence[str], batch: Batch) -> Mapping[str, Tensor]:
        return {name: functions[name](batch.pictures, batch.baseline) for name in names}

    return Family(compute=compute, weights=weights)
