"""Which steps of a fine run to make: placed by dynamic programming over the errors of jumps."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, model_validator

from compute.policy.schedule import ScheduleError
from store.records import Record

Cost = Annotated[float, Field(ge=0)]


class StepCosts(Record):
    """What one step costs in accuracy that jumps over steps of a fine run.

    `timesteps` are those of the fine run. `costs[i][j - i - 1]` is the error of one solver step from fine step `i` to
    fine step `j`, where `j` up to their number, the end of the run: the RMS distance to the state of the fine run.
    """

    timesteps: Annotated[tuple[float, ...], Field(min_length=1)]
    costs: tuple[tuple[Cost, ...], ...]

    @model_validator(mode="after")
    def _each_jump(self) -> StepCosts:
        count = len(self.timesteps)
        if [len(row) for row in self.costs] != list(range(count, 0, -1)):
            raise ValueError(f"costs: {count} rows of {count} to 1 jumps belong to {count} timesteps")
        return self

    def placed(self, steps: int) -> tuple[float, ...]:
        """Return the timesteps of `steps` steps whose errors add up to the least; the first is the fine run's.

        Raises ScheduleError for more steps than the fine run has.
        """
        return tuple(self.timesteps[index] for index in cheapest_jumps(self.costs, steps))


def cheapest_jumps(costs: tuple[tuple[float, ...], ...], jumps: int) -> tuple[int, ...]:
    """Return where `jumps` jumps begin that lead from node 0 to the end at the least sum of costs.

    `costs` are as in `StepCosts`: row i holds the jumps from node i to each later one. Raises ScheduleError where there
    are fewer nodes than jumps.
    """
    end = len(costs)
    if not 1 <= jumps <= end:
        raise ScheduleError(f"steps: {jumps} are asked for; 1 to {end} can be placed on {end} steps")
    best = [0.0] + [math.inf] * end  # of reaching each node with the jumps so far
    origins: list[list[int]] = []
    for _ in range(jumps):
        reached, origin = [math.inf] * (end + 1), [-1] * (end + 1)
        for start, row in enumerate(costs):
            for target, cost in enumerate(row, start + 1):
                if best[start] + cost < reached[target]:
                    reached[target], origin[target] = best[start] + cost, start
        best = reached
        origins.append(origin)
    path, node = [], end
    for origin in reversed(origins):
        node = origin[node]
        path.append(node)
    return tuple(reversed(path))
