"""What a metric is, and what a family of metrics offers to the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
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
    """What a metric's numbers mean. `version` counts its definitions; numbers of different versions don't compare."""

    name: str
    version: int
    direction: Literal["lower", "higher"]
    """Which is better."""
    range: tuple[float, float | None]
    """Least and greatest value; None is no upper bound."""
    paired: bool
    """Whether it compares with the baseline; otherwise it judges the picture by its prompt."""
    label: str
    smallest: int = 1
    """The least height and width of the pictures it takes."""
    weights: str | None = None
    """What identifies the weights it reads pictures with, a digest say; those of different weights don't compare."""

    def loss(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """How far a paired metric's values are from that of identical pictures; where lower is better, they are it."""
        if self.direction == "lower":
            return values
        top = self.range[1]
        assert self.paired and top is not None, f"{self.name} measures no distance"
        return np.maximum(top - values, 0)  # rounding may put a value above the top

    @property
    def info(self) -> MetricInfo:
        """The same as the store keeps it beside the numbers."""
        low, high = self.range
        return MetricInfo(
            name=self.name,
            version=self.version,
            direction=self.direction,
            low=low,
            high=high,
            paired=self.paired,
            label=self.label,
            weights=self.weights,
        )


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
