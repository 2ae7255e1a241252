"""A schedule: an action for each component and step. Components without an action are computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidatorFunctionWrapHandler, field_validator, model_validator

from store.errors import SkipscopeError
from store.records import Ablation, Action, Record

COMPUTE = Action(name="compute")
StepActions = Mapping[str, Action]
_ROW = TypeAdapter(StepActions)
_STEPS = TypeAdapter(tuple[int, ...])


class ScheduleError(SkipscopeError):
    """A schedule that can't be executed; the message names the component, the step and what is accepted."""


def _canonical_row(row: StepActions) -> StepActions:
    valid = _ROW.validate_python(row)
    return {name: valid[name] for name in sorted(valid) if valid[name].name != "compute"}


class Schedule(Record):
    """Actions by step and component for a run of `steps` sampling steps; step 0 is the noisiest.

    The form is canonical, so that equivalent schedules are equal: `compute` and steps without actions are left out, and
    keys are sorted. Raises ScheduleError for a step outside the run.
    """

    steps: Annotated[int, Field(ge=1)]
    actions: Mapping[int, StepActions] = Field(default_factory=dict)

    @field_validator("actions", mode="wrap")
    @classmethod
    def _canonical(cls, actions: Any, check: ValidatorFunctionWrapHandler) -> Mapping[int, StepActions]:
        """Check each row once, also where many steps share it: a policy's rules cover long windows."""
        if not isinstance(actions, Mapping):
            actions = check(actions)
        rows = {id(row): row for row in actions.values()}
        canonical = {number: _canonical_row(row) for number, row in rows.items()}
        steps = _STEPS.validate_python(tuple(actions))
        kept = {step: canonical[id(row)] for step, row in zip(steps, actions.values(), strict=True)}
        return {step: kept[step] for step in sorted(kept) if kept[step]}

    @model_validator(mode="after")
    def _steps_inside(self) -> Schedule:
        for step in self.actions:
            if not 0 <= step < self.steps:
                raise ScheduleError(f"step {step} lies outside the run: steps 0 to {self.steps - 1} are accepted")
        return self

    @classmethod
    def empty(cls, steps: int) -> Schedule:
        """Return the schedule of a baseline, in which every component is computed."""
        return cls(steps=steps)

    @classmethod
    def from_ablation(cls, ablation: Ablation, steps: int) -> Schedule:
        """Return the schedule that applies an ablation's action at every step of its window.

        Raises ScheduleError for a window that ends after the run.
        """
        window = ablation.window
        if window.stop > steps:
            raise ScheduleError(
                f"window [{window.start}, {window.stop}) lies outside the run: "
                f"0 <= start < stop <= {steps} is accepted for {steps} steps"
            )
        row = dict.fromkeys(ablation.components, ablation.action)
        return cls(steps=steps, actions=dict.fromkeys(range(window.start, window.stop), row))

    @property
    def is_empty(self) -> bool:
        """Whether every component is computed at every step."""
        return not self.actions

    def at(self, step: int) -> StepActions:
        """Return the actions of a step, without `compute`."""
        return self.actions.get(step, {})

    def action(self, step: int, component: str) -> Action:
        """Return the action of a component at a step."""
        return self.at(step).get(component, COMPUTE)

    @property
    def components(self) -> frozenset[str]:
        """The names that have an action but `compute` at some step."""
        rows = {id(row): row for row in self.actions.values()}  # steps share rows
        return frozenset(name for row in rows.values() for name in row)

    def entries(self) -> Iterator[tuple[int, str, Action]]:
        """Yield every (step, component, action) but `compute`, in order."""
        for step, row in self.actions.items():
            for name, action in row.items():
                yield step, name, action
