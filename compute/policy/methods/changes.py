"""How much the outputs of a network's components change from step to step: what threshold rules decide by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator

from compute.policy.schedule import ScheduleError
from store.records import Record

Change = Annotated[float, Field(ge=0)]


class FeatureChanges(Record):
    """Relative changes of components' outputs, measured in a full run and averaged over its pictures.

    `changes[name][lag - 1][i]` is the change of a component from step `i` to step `i + lag`: the L1 distance of both
    outputs over the L1 norm of the later one. `distances[i]` is the mean absolute difference between the states after
    and before step `i`.
    """

    steps: Annotated[int, Field(ge=2)]
    changes: Mapping[str, tuple[tuple[Change, ...], ...]]
    distances: tuple[Change, ...]

    @model_validator(mode="after")
    def _one_a_step(self) -> FeatureChanges:
        if len(self.distances) != self.steps:
            raise ValueError(f"distances are {len(self.distances)}; a run of {self.steps} steps has as many")
        for name, lags in self.changes.items():
            for lag, numbers in enumerate(lags, 1):
                if len(numbers) != self.steps - lag:
                    raise ValueError(f"{name} has {len(numbers)} changes over {lag} steps; {self.steps - lag} belong")
        return self

    def of(self, name: str, steps: int, lag: int = 1) -> tuple[float, ...]:
        """Return a component's changes over `lag` steps. Raises ScheduleError where they were not measured."""
        if steps != self.steps:
            raise ScheduleError(f"changes: they are of {self.steps} steps, and the run has {steps}: measure those")
        lags = self.changes.get(name, ())
        if len(lags) < lag:
            raise ScheduleError(
                f"changes: {name} was measured over {len(lags)} steps, and {lag} are needed: measure with lags={lag}"
            )
        return lags[lag - 1]
