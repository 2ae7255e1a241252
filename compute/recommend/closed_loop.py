"""Runs schedules from noise to picture, and measures their damage on a fixed set of conditions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from compute.diffusion.samplers import SamplerConfig
from compute.metrics.registry import MetricSet
from compute.models.draw import draw_pictures
from compute.models.load import Model
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule
from compute.sweep.plan import RESEED_OFFSET
from store.records import Condition, canonical_json

Distances = npt.NDArray[np.float64]


def reseeded(condition: Condition) -> Condition:
    """The same prompt with another seed: the distance to it is 1 on the damage scale."""
    return condition.model_copy(update={"seed": (condition.seed + RESEED_OFFSET) % 2**63})


class ClosedLoop:
    """Distances by one paired metric of whole runs to full compute; what was run once is remembered."""

    def __init__(
        self, model: Model, sampler: SamplerConfig, conditions: Sequence[Condition], metric: MetricSet, *, batch: int
    ) -> None:
        self.conditions = tuple(conditions)
        self._model, self._sampler, self._metric, self._batch = model, sampler, metric, batch
        self.known: dict[str, list[float]] = {}

    def distances(self, schedule: Schedule) -> Distances:
        """The metric of each condition's picture to its picture at full compute."""
        key = canonical_json(schedule)
        if key not in self.known:
            self.known[key] = self._measured(self._draw(self.conditions, schedule)).tolist()
        return np.array(self.known[key])

    @cached_property
    def reseeds(self) -> Distances:
        """The metric between two seeds of each condition's prompt."""
        others = [reseeded(condition) for condition in self.conditions]
        return self._measured(self._draw(others, Schedule.empty(self._sampler.steps)))

    @cached_property
    def _full(self) -> Tensor:
        return self._draw(self.conditions, Schedule.empty(self._sampler.steps))

    def _measured(self, pictures: Tensor) -> Distances:
        (values,) = self._metric.compute(pictures, self._full, [c.prompt for c in self.conditions]).values()
        return values

    def _draw(self, conditions: Sequence[Condition], schedule: Schedule) -> Tensor:
        resolved = resolve(self._model.graph, schedule)
        parts = [conditions[i : i + self._batch] for i in range(0, len(conditions), self._batch)]
        return torch.cat([draw_pictures(self._model, part, self._sampler, resolved) for part in parts])
