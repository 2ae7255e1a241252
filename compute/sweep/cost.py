"""What a sweep costs: UNet evaluations, time and disk space."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import prod
from statistics import median

import torch

from compute.config.schema import SweepConfig
from compute.models.model import Model
from compute.sweep.prepare import Prepared
from compute.sweep.worker.stored_states import stored_bytes


@dataclass(frozen=True, kw_only=True)
class SweepCost:
    """The cost of a plan. An evaluation is one forward pass of the UNet for one condition (two rows with guidance).

    `evaluations_from_step_0` is what starting every run at step 0 would take. `bytes` is an upper bound, before
    compression. `seconds` is for one worker on this machine.
    """

    units: int
    evaluations: int
    evaluations_from_step_0: int
    bytes: int
    seconds: float


def cost_of(prepared: Prepared) -> SweepCost:
    """Compute the cost of a plan; runs the UNet a few times to measure its speed."""
    config, plan = prepared.config, prepared.plan
    probe = prepared.model.probe(config.sampler, config.guidance)
    values = prod(probe.state_shape)
    output_values = values // probe.state_shape[0] * probe.output_channels
    evaluations = from_step_0 = size = 0
    for unit in plan.units:
        run, batch = plan.runs.of(unit.intervention), len(unit.conditions)
        evaluations += run.unet_evaluations * batch
        from_step_0 += run.evaluations_from_step_0 * batch
        size += stored_bytes(
            unit.role,
            config.keep,
            steps=plan.runs.steps - run.start,
            values=batch * values,
            output_values=batch * output_values,
            picture_values=batch * prod(probe.picture_shape),
        )
    return SweepCost(
        units=len(plan.units),
        evaluations=evaluations,
        evaluations_from_step_0=from_step_0,
        bytes=size,
        seconds=evaluations * seconds_per_evaluation(prepared.model, config),
    )


@torch.inference_mode()
def seconds_per_evaluation(model: Model, config: SweepConfig, repeats: int = 3) -> float:
    """Return the median time of a call of the UNet at this batch, for one condition, after one call to warm up."""
    batch, seconds = config.conditions_per_unit, []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        model.call_unet(config.sampler, config.guidance, batch)
        seconds.append(time.perf_counter() - began)
    return median(seconds[1:]) / batch
