"""The measured cost model: it covers every node of the network, and predicts the time of a run roughly."""

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


def test_exactly_the_shortcuts_are_timed(cost: CostModel, model: Model) -> None:
    residual = {c.name for c in model.graph.components if "bypass" in c.actions}
    assert cost.bypassed.keys() == residual
    assert sum(cost.bypassed.values()) < sum(cost.computed[name] for name in residual)


def test_the_time_of_full_compute_is_predicted_within_a_factor_of_five(cost: CostModel, model: Model) -> None:
    conditions = [Condition(prompt="a cat on a blue background", seed=i, guidance=3.0) for i in range(2)]
    seconds = []
    for _ in range(5):
        start = now(CPU)
        model.run(conditions, DDPM)
        seconds.append(now(CPU) - start)
    predicted = cost.seconds(resolve(model.graph, Schedule.empty(STEPS)))
    assert min(seconds) / 5 < predicted < 5 * max(seconds)


def test_a_dropped_step_is_cheaper_than_one_that_calls_the_network(cost: CostModel, model: Model) -> None:
    drop = Schedule(steps=STEPS, actions={3: {"unet": Action(name="reuse", space="x0")}})
    plans = resolve(model.graph, drop).steps
    assert cost.seconds_of(plans[3]) == cost.step < cost.seconds_of(plans[2]) / 2


def test_steps_whose_guidance_rests_are_timed_by_themselves(cost: CostModel, model: Model) -> None:
    assert cost.half is not None
    assert cost.half.computed.keys() == cost.computed.keys() and cost.half.bypassed.keys() == cost.bypassed.keys()
    rest = Schedule(steps=STEPS, actions={3: {"guidance": Action(name="bypass")}})
    plans = resolve(model.graph, rest).steps
    parts = cost.half.network + sum(cost.half.computed[name] for name in plans[3].computed & cost.computed.keys())
    assert cost.seconds_of(plans[3]) == pytest.approx(cost.step + parts)
    assert cost.step < cost.seconds_of(plans[3]) < 1.2 * cost.seconds_of(plans[2])


def test_timing_leaves_no_hooks_behind(cost: CostModel, model: Model) -> None:
    modules = list(model.unet.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in modules)
    assert not any("forward" in vars(module) for module in modules)


@pytest.mark.parametrize("sampler", [SamplerSettings(name="ddim", steps=1), SamplerSettings(name="ddpm", steps=2)])
def test_the_shortest_runs_can_be_timed(model: Model, sampler: SamplerSettings) -> None:
    shortest = measure_cost(model, sampler, batch=1, guidance=1.0, repeats=2)
    assert shortest.seconds(resolve(model.graph, Schedule.empty(sampler.steps))) > 0
    assert shortest.half is None, "at a scale of 1 no guidance can rest"
    assert sampler.steps == 1 or shortest.step > 0
