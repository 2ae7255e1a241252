"""What a sweep costs: UNet evaluations, time and disk space."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import prod
from statistics import median

import torch

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
    config, plan, state_values = prepared.config, prepared.plan, prod(prepared.model.state_shape)
    evaluations = from_step_0 = size = 0
    for unit in plan.units:
        run, batch = plan.runs.of(unit.intervention), len(unit.conditions)
        evaluations += run.unet_evaluations * batch
        from_step_0 += run.evaluations_from_step_0 * batch
        size += stored_bytes(unit.role, config.keep, steps=plan.runs.steps - run.start, values=batch * state_values)
    return SweepCost(
        units=len(plan.units),
        evaluations=evaluations,
        evaluations_from_step_0=from_step_0,
        bytes=size,
        seconds=evaluations * seconds_per_evaluation(prepared.model, config.conditions_per_unit),
    )


@torch.inference_mode()
def seconds_per_evaluation(model: Model, batch: int, repeats: int = 3) -> float:
    """Return the median time of a forward pass at this batch, for one condition, after one pass to warm up."""
    x_t = model.noise(range(2 * batch))
    text = model.encode([""] * batch)
    seconds = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        model.call_unet(x_t, 500, text)
        seconds.append(time.perf_counter() - began)
    return median(seconds[1:]) / batch
