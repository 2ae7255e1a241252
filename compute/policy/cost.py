"""What a schedule costs in seconds: the whole plan is summed, because liveness makes savings non-additive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compute.policy.liveness import ResolvedSchedule, StepPlan


@dataclass(frozen=True, kw_only=True)
class CostModel:
    """Measured seconds of a batch of `batch` pictures on one machine.

    `run` is spent once (text, noise); `step` at every step, also a dropped one (the sampler); `network` at every step
    that calls the UNet (embeddings, guidance). `computed` and `bypassed` are of the nodes of the component graph.
    """

    batch: int
    run: float
    step: float
    network: float
    computed: Mapping[str, float]
    bypassed: Mapping[str, float]

    def seconds_of(self, plan: StepPlan) -> float:
        """Seconds of one step of a batch."""
        if plan.unet is not None:
            return self.step
        partly = [*plan.bypassed, *(name for name, parts in plan.writes.items() if "delta" in parts)]
        return (
            self.step
            + self.network
            + sum(self.computed.get(name, 0.0) for name in plan.computed)
            + sum(self.bypassed.get(name, 0.0) for name in partly)
        )

    def seconds(self, resolved: ResolvedSchedule) -> float:
        """Seconds of a whole run of a batch."""
        return self.run + sum(self.seconds_of(plan) for plan in resolved.steps)
