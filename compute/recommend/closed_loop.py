"""Closed-loop runs: the damage of whole runs, from noise to picture, on a fixed set of conditions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float64
from torch import Tensor, cat

from compute.metrics.registry import MetricSet
from compute.models.long_prompts import without_repeated_warnings
from compute.models.model import Model
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.schedule import Schedule
from compute.statistics.estimate import Estimate, ratio_of
from store.records import Condition, canonical_json
from store.sampler import SamplerSettings

Losses = Float64[np.ndarray, " conditions"]


class ClosedLoop:
    """Measures schedules against full compute by one paired metric; a batch is run once for each schedule."""

    def __init__(
        self, model: Model, sampler: SamplerSettings, conditions: Sequence[Condition], metric: MetricSet, *, batch: int
    ) -> None:
        self.conditions = tuple(conditions)
        self._model, self._sampler, self._metric = model, sampler, metric
        self._batches = [slice(i, i + batch) for i in range(0, len(self.conditions), batch)]
        self._losses: dict[str, dict[int, Losses]] = {}
        self._total_losses = [0.0] * len(self._batches)

    def damage(self, schedule: Schedule, *, at_most: float | None = None) -> Estimate | None:
        """Return the damage of a schedule over all conditions, or None as soon as it must exceed `at_most`.

        Losses are not negative, so the mean over all conditions is at least what the batches run so far contribute.
        Batches with the largest losses under other schedules are run first, because they reach the limit soonest.
        """
        resolved = resolve(self._model.graph, schedule)
        losses = self._losses.setdefault(canonical_json(schedule), {})
        for number in sorted(range(len(self._batches)), key=lambda number: -self._total_losses[number]):
            if at_most is not None and sum(batch.sum() for batch in losses.values()) > at_most * self.reseeds.sum():
                return None
            if number not in losses:
                rows = self._batches[number]
                losses[number] = self._loss(self._sample(self.conditions[rows], resolved), rows)
                self._total_losses[number] += float(losses[number].sum())
        return ratio_of(np.concatenate([losses[number] for number in range(len(self._batches))]), self.reseeds)

    @cached_property
    def reseeds(self) -> Losses:
        """The loss between full compute with each condition's own seed and with another one."""
        others = [condition.reseeded() for condition in self.conditions]
        return np.concatenate([self._loss(self._sample(others[rows]), rows) for rows in self._batches])

    @cached_property
    def _full(self) -> Float[Tensor, "conditions 3 H W"]:
        return cat([self._sample(self.conditions[rows]) for rows in self._batches])

    def _loss(self, pictures: Float[Tensor, "B 3 H W"], rows: slice) -> Float64[np.ndarray, " B"]:
        """Return the loss of the pictures of some conditions against full compute."""
        prompts = [condition.prompt for condition in self.conditions[rows]]
        ((name, values),) = self._metric.compute(pictures, self._full[rows], prompts).items()
        return self._metric.descriptors[name].info.loss(values)

    def _sample(
        self, conditions: Sequence[Condition], resolved: ResolvedSchedule | None = None
    ) -> Float[Tensor, "B 3 H W"]:
        with without_repeated_warnings(self._model.pipe, [condition.prompt for condition in conditions]):
            return self._model.run(conditions, self._sampler, resolved)
