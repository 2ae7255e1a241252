"""The cost model: seconds of a schedule.

Costs are summed over the nodes that a whole resolved schedule runs, because savings of single actions do not add up:
what one action saves depends on which components the others leave live.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compute.policy.liveness import ResolvedSchedule, StepPlan
from compute.policy.schedule import ScheduleError


@dataclass(frozen=True, kw_only=True)
class NetworkCost:
    """Seconds of the network's parts, as a `CostModel` has them."""

    network: float
    computed: Mapping[str, float]
    bypassed: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class CostModel:
    """Seconds for a batch of `batch` pictures, measured on one machine.

    `run` is spent once (text, noise), `step` at every step, dropped ones included (the sampler), and `network` at every
    step that calls the UNet (embeddings, guidance). `computed` holds the seconds of each node of the component graph
    without its parts, `bypassed` those of each component's shortcut. `half` holds those of a step whose guidance
    rests, which are measured, because half of the rows take more than half of the time where a batch is small; it is
    None where guidance can't rest.
    """

    batch: int
    run: float
    step: float
    network: float
    computed: Mapping[str, float]
    bypassed: Mapping[str, float]
    half: NetworkCost | None = None

    def seconds_of(self, plan: StepPlan) -> float:
        """Return the seconds of one step of a batch. Raises ScheduleError where guidance rests and was not measured."""
        if plan.unet is not None:
            return self.step
        part = self if plan.guidance is None else self._half(plan.step)
        shortcuts = [*plan.bypassed, *(name for name, parts in plan.writes.items() if "delta" in parts)]
        return (
            self.step
            + part.network
            + sum(part.computed.get(name, 0.0) for name in plan.computed)
            + sum(part.bypassed.get(name, 0.0) for name in shortcuts)
        )

    def _half(self, step: int) -> NetworkCost:
        if self.half is None:
            raise ScheduleError(
                f"guidance can't rest at step {step}: the runs that were timed don't guide in one batch"
            )
        return self.half

    def seconds(self, resolved: ResolvedSchedule) -> float:
        """Return the seconds of a whole run of a batch."""
        return self.run + sum(self.seconds_of(plan) for plan in resolved.steps)
