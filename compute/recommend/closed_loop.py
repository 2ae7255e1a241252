"""Runs schedules from noise to picture, and measures their damage on a fixed set of conditions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from compute.metrics.registry import MetricSet
from compute.models.model import Model
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.schedule import Schedule
from compute.statistics.estimate import Estimate, ratio_of
from store.records import Condition, canonical_json
from store.sampler import SamplerSettings

Distances = npt.NDArray[np.float64]


class ClosedLoop:
    """Damage by one paired metric of whole runs against full compute; what was run once is remembered."""

    def __init__(
        self, model: Model, sampler: SamplerSettings, conditions: Sequence[Condition], metric: MetricSet, *, batch: int
    ) -> None:
        self.conditions = tuple(conditions)
        self._model, self._sampler, self._metric = model, sampler, metric
        self._batches = [slice(i, i + batch) for i in range(0, len(self.conditions), batch)]
        self._known: dict[str, dict[int, Distances]] = {}
        self._harm = [0.0] * len(self._batches)

    def damage(self, schedule: Schedule, *, at_most: float | None = None) -> Estimate | None:
        """The damage of a schedule over all conditions; None as soon as it is sure to exceed `at_most`.

        Distances are not negative, so the mean over all conditions is at least what those that were run add up to.
        Batches that other schedules harmed most come first, because they say soonest that it is too much.
        """
        resolved = resolve(self._model.graph, schedule)
        found = self._known.setdefault(canonical_json(schedule), {})
        for number in sorted(range(len(self._batches)), key=lambda number: -self._harm[number]):
            if at_most is not None and sum(part.sum() for part in found.values()) > at_most * self.reseeds.sum():
                return None
            if number not in found:
                rows = self._batches[number]
                found[number] = self._measured(self._draw(self.conditions[rows], resolved), rows)
                self._harm[number] += float(found[number].sum())
        return ratio_of(np.concatenate([found[number] for number in range(len(self._batches))]), self.reseeds)

    @cached_property
    def reseeds(self) -> Distances:
        """The metric's loss between two seeds of each condition's prompt."""
        others = [condition.reseeded() for condition in self.conditions]
        return np.concatenate([self._measured(self._draw(others[rows]), rows) for rows in self._batches])

    @cached_property
    def _full(self) -> Tensor:
        return torch.cat([self._draw(self.conditions[rows]) for rows in self._batches])

    def _measured(self, pictures: Tensor, rows: slice) -> Distances:
        prompts = [condition.prompt for condition in self.conditions[rows]]
        ((name, values),) = self._metric.compute(pictures, self._full[rows], prompts).items()
        return self._metric.descriptors[name].info.loss(values)

    def _draw(self, conditions: Sequence[Condition], resolved: ResolvedSchedule | None = None) -> Tensor:
        return self._model.pictures(conditions, self._sampler, resolved)
