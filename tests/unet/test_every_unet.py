"""The UNets that published models have: each reads, is bit-identical where everything is computed, and is acted on.

The whole matrix is slow; of each sort of layout one is in the fast tests.
"""

from __future__ import annotations

import random
from functools import lru_cache, partial
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from compute.policy.graph import ComponentGraph
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule
from compute.unet import executing, read_graph
from compute.unet.blocks import component_modules
from store.records import Action
from tests.unet.checks import all_actions, check, resolves
from tests.unet.narrow import NAMES, NEED_OTHER_CODE, TOKENS, call_inputs, layout, narrow_unet, predict

DISTINCT = tuple({layout(name): name for name in NAMES}.values())
"""One configuration of each that are the same when they are made narrow."""
FAST = (
    "audioldm2-test",
    "if-stage2-test",
    "k-upscaler-test",
    "kandinsky22-controlnet-test",
    "kandinsky3-test",
    "ncsnpp-test",
    "sdxl-no-mid-attn-test",
    "stable-unclip-test",
    "unet2d-no-mid-test",
)
REST = tuple(name for name in DISTINCT if name not in FAST)
REUSE = Action(name="reuse")
FEW, MANY = 12, 120
fast_and_slow = pytest.mark.parametrize("name", [*FAST, *(pytest.param(name, marks=pytest.mark.slow) for name in REST)])


@lru_cache(maxsize=1)
def unet_and_graph(name: str) -> tuple[Any, ComponentGraph]:
    unet = narrow_unet(name)
    return unet, read_graph(unet, sequence_length=TOKENS)


def chosen(values: list[Any], name: str) -> list[Any]:
    """Return some of the values, others for each configuration; more in the slow tests."""
    count = FEW if name in FAST else MANY
    return random.Random(name).sample(values, min(count, len(values)))


def state(unet: Any) -> dict[str, list[tuple[str, int]]]:
    return {path: [(key, id(value)) for key, value in module.__dict__.items()] for path, module in unet.named_modules()}


def test_every_configuration_is_tried_or_says_why_not() -> None:
    assert len(NAMES) >= 40
    assert all(reason for reason in NEED_OTHER_CODE.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_reads(name: str) -> None:
    """Reading changes nothing and draws no random numbers; computing everything is bit-identical to the plain model."""
    unet = narrow_unet(name)
    inputs = call_inputs(unet)
    plain, before, random_state = predict(unet, inputs), state(unet), torch.get_rng_state()
    graph = read_graph(unet, sequence_length=TOKENS)
    assert state(unet) == before
    assert torch.equal(torch.get_rng_state(), random_state)
    assert component_modules(unet).keys() >= {c.name for c in graph.components if c.kind not in ("skip", "unet")}
    whole = [node for name, node in graph.nodes.items() if name != "unet" and name not in graph.parents]
    assert sum(node.parameters for node in whole) == graph.component("unet").parameters
    assert graph.total_flops == graph.component("unet").flops
    with executing(unet, resolve(graph, Schedule.empty(2))) as execution:
        for step in range(2):
            execution.begin_step(step)
            assert torch.equal(predict(unet, inputs), plain)
    assert state(unet) == before


@fast_and_slow
def test_reusing_what_would_be_computed_again_is_bit_identical(name: str) -> None:
    """Each component in turn, while dead modules put out NaN: so the graph holds all that the output depends on."""
    unet, graph = unet_and_graph(name)
    inputs = call_inputs(unet)
    plain = predict(unet, inputs)
    names = chosen(list(graph.names[1:]), name)
    schedule = Schedule(steps=len(names) + 1, actions={step: {name: REUSE} for step, name in enumerate(names, 1)})
    with executing(unet, resolve(graph, schedule)) as execution:
        for step in range(schedule.steps):
            execution.begin_step(step)
            assert torch.equal(predict(unet, inputs), plain), schedule.at(step)


@fast_and_slow
def test_actions_do_what_the_oracle_does(name: str) -> None:
    """Each action has a step of its own in one run; then several together, which may leave much of the network dead."""
    unet, graph = unet_and_graph(name)
    pairs = chosen(all_actions(graph), name)
    rows = {step: {name: Action.model_validate({"name": action})} for step, (name, action) in enumerate(pairs, 1)}
    check(unet, graph, Schedule(steps=len(rows) + 1, actions=rows), partial(call_inputs, unet))
    for schedule in random_schedules(graph, name, count=3):
        check(unet, graph, schedule, partial(call_inputs, unet))


@fast_and_slow
def test_a_random_policy_costs_what_is_predicted(name: str) -> None:
    unet, graph = unet_and_graph(name)
    inputs = call_inputs(unet)
    for schedule in random_schedules(graph, name, count=3):
        resolved = resolve(graph, schedule)
        with executing(unet, resolved) as execution:
            for step in range(schedule.steps):
                execution.begin_step(step)
                with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
                    assert not predict(unet, inputs).isnan().any()
                assert counter.get_total_flops() == resolved.flops(step)


def random_schedules(graph: ComponentGraph, seed: str, count: int) -> list[Schedule]:
    """Return accepted schedules of three steps with up to six random actions in each but the first."""
    source, schedules = random.Random(seed), list[Schedule]()
    while len(schedules) < count:
        rows = {step: source.sample(graph.names[1:], source.randint(1, 6)) for step in (1, 2)}
        actions = {
            step: {name: Action(name=source.choice(graph.component(name).actions[1:])) for name in names}
            for step, names in rows.items()
        }
        schedule = Schedule(steps=3, actions=actions)
        schedules += [schedule] if resolves(graph, schedule) else []
    return schedules
