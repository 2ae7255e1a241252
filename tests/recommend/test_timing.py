"""The measured cost model: every part of the network is in it, and it predicts times of a run's size."""

from __future__ import annotations

import pytest
import torch

from compute.models.model import Model
from compute.policy.cost import CostModel
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule
from compute.recommend.timing import measure_cost, now
from store.records import Action, Condition
from store.sampler import SamplerSettings

STEPS = 6
DDPM = SamplerSettings(name="ddpm", steps=STEPS)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cost(model: Model) -> CostModel:
    return measure_cost(model, DDPM, batch=2, guidance=3.0)


def test_every_component_is_timed(cost: CostModel, model: Model) -> None:
    layers = {c.name for c in model.graph.components if c.kind not in ("skip", "unet")}
    concats = {s.name for s in model.graph.structures if s.kind == "concat"}
    assert cost.computed.keys() == layers | concats | {"conv_in", "conv_out"}
    assert all(cost.computed[name] > 0 for name in layers | {"conv_in", "conv_out"})
    assert all(seconds >= 0 for seconds in cost.computed.values())
    assert (cost.batch, cost.run > 0, cost.step > 0, cost.network >= 0) == (2, True, True, True)


def test_every_shortcut_is_timed_and_no_other(cost: CostModel, model: Model) -> None:
    around = {c.name for c in model.graph.components if "bypass" in c.actions}
    assert cost.bypassed.keys() == around
    assert sum(cost.bypassed.values()) < sum(cost.computed[name] for name in around)


def test_full_compute_takes_a_time_of_that_size(cost: CostModel, model: Model) -> None:
    conditions = [Condition(prompt="a cat on a blue background", seed=i, guidance=3.0) for i in range(2)]
    took = []
    for _ in range(5):
        began = now(CPU)
        model.pictures(conditions, DDPM)
        took.append(now(CPU) - began)
    predicted = cost.seconds(resolve(model.graph, Schedule.empty(STEPS)))
    assert min(took) / 5 < predicted < 5 * max(took)


def test_a_dropped_step_is_cheaper_than_one_that_calls_the_network(cost: CostModel, model: Model) -> None:
    drop = Schedule(steps=STEPS, actions={3: {"unet": Action(name="reuse", space="x0")}})
    plans = resolve(model.graph, drop).steps
    assert cost.seconds_of(plans[3]) == cost.step < cost.seconds_of(plans[2]) / 2


def test_timing_leaves_the_model_as_it_was(cost: CostModel, model: Model) -> None:
    modules = list(model.unet.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in modules)
    assert not any("forward" in vars(module) for module in modules)


@pytest.mark.parametrize("sampler", [SamplerSettings(name="ddim", steps=1), SamplerSettings(name="ddpm", steps=2)])
def test_the_shortest_runs_can_be_timed(model: Model, sampler: SamplerSettings) -> None:
    found = measure_cost(model, sampler, batch=1, guidance=1.0, repeats=2)
    assert found.seconds(resolve(model.graph, Schedule.empty(sampler.steps))) > 0
    assert sampler.steps == 1 or found.step > 0
