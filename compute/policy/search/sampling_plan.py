"""A plan for sampling a picture in a given time: a solver, its steps and their places, and what rests within them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from compute.config.plain_text import Name
from compute.policy.graph import GUIDANCE, ComponentGraph
from compute.policy.methods.layout import REUSE, from_below
from compute.policy.schedule import Schedule
from store.records import Action, Record

Rest = Literal["repeat", "extrapolate", "leave out"]
"""What stands for the difference that guidance makes at a step that does not compute it."""
_REST: Mapping[Rest, Action] = {
    "repeat": Action(name="reuse"),
    "extrapolate": Action(name="reuse", order=1),
    "leave out": Action(name="bypass"),
}


class SamplingPlan(Record):
    """A solver with a number of steps, and what rests at which of them.

    `placement` is the exponent of the steps' places: of N steps, step i is at timestep T (1 - i / N)^placement - 1, so
    that more than 1 puts more steps where there is little noise; None leaves the places to the solver. `guided` is the
    number of first steps that compute guidance, None for all; afterwards its difference is repeated, extrapolated or
    left out, but for every `refresh`-th step, 0 for none. From step `cached_from` on only every `interval`-th step
    computes the layers below decoder layer `branch` (DeepCache, arXiv 2312.00858); 1 is all.
    """

    solver: Name
    steps: Annotated[int, Field(ge=2, le=1000)]
    placement: Annotated[float, Field(gt=0, le=10)] | None = None
    guided: Annotated[int, Field(ge=0)] | None = None
    rest: Rest = "repeat"
    refresh: Annotated[int, Field(ge=0)] = 0
    interval: Annotated[int, Field(ge=1)] = 1
    branch: Annotated[int, Field(ge=0)] = 0
    cached_from: Annotated[int, Field(ge=0)] = 0

    def timesteps(self, trained: int) -> tuple[int, ...] | None:
        """Return the steps' timesteps for a model that was trained with `trained` of them; None for the solver's own.

        Places that fall together are moved apart, towards less noise as far as there are any.
        """
        if self.placement is None:
            return None
        places: list[int] = []
        for step in range(self.steps):
            wanted = round(trained * (1 - step / self.steps) ** self.placement) - 1
            least = self.steps - 1 - step  # room for the steps that follow
            places.append(max(least, min(wanted, places[-1] - 1 if places else trained - 1)))
        return tuple(places)

    def schedule(self, graph: ComponentGraph) -> Schedule:
        """Return the actions of the plan for a network. Raises ScheduleError for a branch that it lacks."""
        rows: dict[int, dict[str, Action]] = {}
        reused = dict.fromkeys(from_below(graph, self.branch), REUSE) if self.interval > 1 else {}
        for step in range(self.steps):
            row = dict(reused) if self._is_cached(step) else {}
            if self._rests(step):
                row[GUIDANCE] = _REST[self.rest]
            if row:
                rows[step] = row
        return Schedule(steps=self.steps, actions=rows)

    def _rests(self, step: int) -> bool:
        if self.guided is None or step < self.guided:
            return False
        return self.refresh == 0 or (step - self.guided + 1) % self.refresh != 0

    def _is_cached(self, step: int) -> bool:
        return step >= self.cached_from and (step - self.cached_from) % self.interval != 0

    def __str__(self) -> str:
        parts = [f"{self.solver}, {self.steps} steps"]
        if self.placement is not None:
            parts.append(f"placed by {self.placement:g}")
        if self.guided is not None and self.guided < self.steps:
            verb = {"repeat": "repeated", "extrapolate": "extrapolated", "leave out": "left out"}[self.rest]
            again = f", computed again every {self.refresh} steps" if self.refresh else ""
            parts.append(f"guidance computed at the first {self.guided}, then {verb}{again}")
        if self.interval > 1:
            parts.append(
                f"layers below {self.branch} computed every {self.interval} steps from step {self.cached_from}"
            )
        return "; ".join(parts)
