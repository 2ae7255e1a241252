"""How bad pictures are, one number a condition: by a judge, or by their distance to a run of many steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Float64, UInt8

from compute.metrics.judge import Judge
from compute.metrics.registry import MetricSet
from compute.policy.skip_policy import SkipPolicy
from compute.recommend.bench.engine import Engine, as_tensor
from store.records import Condition

Losses = Float64[np.ndarray, " conditions"]


class PictureLoss(Protocol):
    """Measures pictures of 8 bits against what their conditions ask for; 0 is best."""

    @property
    def name(self) -> str:
        """What a loss is, as reports call it."""

    @property
    def metric(self) -> str:
        """The metric that a loss is computed from."""

    def of(self, pictures: UInt8[np.ndarray, "N 3 H W"], conditions: Sequence[Condition]) -> Losses:
        """Return the loss of each picture."""


class JudgeLoss:
    """The probability, by a judge, that a picture does not show its whole prompt.

    It has the mean of the share of wrong pictures where the judge's probabilities are calibrated, but says more of
    each picture, so that fewer of them tell two plans apart.
    """

    name = metric = "doubt"

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def of(self, pictures: UInt8[np.ndarray, "N 3 H W"], conditions: Sequence[Condition]) -> Losses:
        """Return the loss of each picture."""
        certain = self._judge.confidence(as_tensor(pictures), [condition.prompt for condition in conditions])
        return 1 - certain.double().numpy()


class DistanceLoss:
    """The distance to the picture of a run of many steps from the same initial noise, by a paired metric.

    It is divided by the mean distance of the many-step run to itself with other seeds: 1 is as far as another seed.
    """

    def __init__(self, engine: Engine, reference: SkipPolicy, metric: MetricSet) -> None:
        ((self.metric, self._descriptor),) = metric.descriptors.items()
        self.name = f"distance by {self.metric}"
        self._engine, self._reference, self._metrics = engine, reference, metric
        self._scale: dict[int, float] = {}

    def of(self, pictures: UInt8[np.ndarray, "N 3 H W"], conditions: Sequence[Condition]) -> Losses:
        """Return the loss of each picture."""
        target = self._engine.outcome(self._reference, conditions).pictures
        return self._distance(pictures, target, conditions) / self._between_seeds(conditions)

    def _between_seeds(self, conditions: Sequence[Condition]) -> float:
        if len(conditions) not in self._scale:
            own = self._engine.outcome(self._reference, conditions).pictures
            others = [condition.reseeded() for condition in conditions]
            other = self._engine.outcome(self._reference, others).pictures
            self._scale[len(conditions)] = float(self._distance(other, own, conditions).mean())
        return self._scale[len(conditions)]

    def _distance(
        self,
        pictures: UInt8[np.ndarray, "N 3 H W"],
        target: UInt8[np.ndarray, "N 3 H W"],
        conditions: Sequence[Condition],
    ) -> Losses:
        prompts = [condition.prompt for condition in conditions]
        values = self._metrics.compute(as_tensor(pictures), as_tensor(target), prompts)[self.metric]
        return self._descriptor.info.loss(values)
