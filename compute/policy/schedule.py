"""A schedule: which action each component takes at each step. What is not said is computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from store.errors import SkipscopeError
from store.records import Ablation, Action, Record

COMPUTE = Action(name="compute")
StepActions = Mapping[str, Action]


class ScheduleError(SkipscopeError):
    """A schedule that can't be carried out; the text names the component, the step and what is accepted."""


class Schedule(Record):
    """Actions by step and component for a run of `steps` sampling steps; step 0 is the noisiest.

    Always canonical: `compute` is never written down, steps without actions are left out, keys are sorted; so schedules
    that do the same are equal. Raises ScheduleError for a step outside the run.
    """

    steps: Annotated[int, Field(ge=1)]
    actions: Mapping[int, StepActions] = Field(default_factory=dict)

    @field_validator("actions")
    @classmethod
    def _canonical(cls, actions: Mapping[int, StepActions]) -> Mapping[int, StepActions]:
        kept = {
            step: {name: row[name] for name in sorted(row) if row[name].name != "compute"}
            for step, row in sorted(actions.items())
        }
        return {step: row for step, row in kept.items() if row}

    @model_validator(mode="after")
    def _steps_inside(self) -> Schedule:
        for step in self.actions:
            if not 0 <= step < self.steps:
                raise ScheduleError(f"step {step} lies outside the run: steps 0 to {self.steps - 1} are accepted")
        return self

    @classmethod
    def empty(cls, steps: int) -> Schedule:
        """The schedule of a baseline: everything is computed."""
        return cls(steps=steps)

    @classmethod
    def from_ablation(cls, ablation: Ablation, steps: int) -> Schedule:
        """An ablation's action on its components at every step of its window."""
        window = ablation.window
        if window.stop > steps:
            raise ScheduleError(
                f"window [{window.start}, {window.stop}) lies outside the run: "
                f"0 <= start < stop <= {steps} is accepted for {steps} steps"
            )
        row = dict.fromkeys(ablation.components, ablation.action)
        return cls(steps=steps, actions=dict.fromkeys(range(window.start, window.stop), row))

    @classmethod
    def merge(cls, *schedules: Schedule) -> Schedule:
        """All actions of several schedules of the same number of steps; two actions for one component are refused."""
        if len({schedule.steps for schedule in schedules}) != 1:
            counts = sorted({schedule.steps for schedule in schedules})
            raise ScheduleError(f"schedules of {counts} steps can't be merged: one number of steps is accepted")
        merged: dict[int, dict[str, Action]] = {}
        for step, name, action in (entry for schedule in schedules for entry in schedule.entries()):
            known = merged.setdefault(step, {}).setdefault(name, action)
            if known != action:
                raise ScheduleError(f"{name} is to {known} and to {action} at step {step}: one action is accepted")
        return cls(steps=schedules[0].steps, actions=merged)

    @property
    def is_empty(self) -> bool:
        """Whether everything is computed at every step."""
        return not self.actions

    def at(self, step: int) -> StepActions:
        """The actions of a step that are not `compute`."""
        return self.actions.get(step, {})

    def action(self, step: int, component: str) -> Action:
        """What a component does at a step."""
        return self.at(step).get(component, COMPUTE)

    def entries(self) -> Iterator[tuple[int, str, Action]]:
        """Every (step, component, action) that is not `compute`, in order."""
        for step, row in self.actions.items():
            for name, action in row.items():
                yield step, name, action
