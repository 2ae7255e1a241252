"""Executed actions give what the oracle gives, which runs every module, and cost what the plan says."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from compute.policy.graph import ComponentGraph
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule, ScheduleError
from compute.unet import executing
from store.records import Action
from tests.policy.graphs import step_actions
from tests.unet.checks import all_actions, check, resolves, run
from tests.unet.oracle import components
from tests.unet.tiny import inputs, predict

REUSE = Action(name="reuse")
FEW = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


def test_every_action_of_every_component(unet: Any, graph: ComponentGraph) -> None:
    """Each action has a step of its own in one run, and changes that step."""
    pairs = all_actions(graph)
    assert {action for _, action in pairs} == {"bypass", "zero", "reuse", "reuse_delta"}
    actions = {step: {name: Action.model_validate({"name": action})} for step, (name, action) in enumerate(pairs, 1)}
    schedule = Schedule(steps=len(pairs) + 1, actions=actions)
    check(unet, graph, schedule, inputs)
    outputs = run(unet, resolve(graph, schedule), inputs)
    for step, (name, action) in enumerate(pairs, 1):
        difference = (_tensor(outputs[step]) - predict(unet, step)).abs().max()
        assert difference > 1e-3, f"{action} of {name} changes nothing"


@FEW
@given(st.data())
def test_any_schedule_equals_running_everything(unet: Any, graph: ComponentGraph, data: st.DataObject) -> None:
    actions = {step: data.draw(step_actions(graph, order=min(step - 1, 2))) for step in range(1, 5)}
    schedule = Schedule(steps=5, actions=actions)
    assume(resolves(graph, schedule))
    check(unet, graph, schedule, inputs)


@FEW
@given(st.data())
def test_a_step_costs_what_its_plan_says(unet: Any, graph: ComponentGraph, data: st.DataObject) -> None:
    schedule = Schedule(steps=3, actions={step: data.draw(step_actions(graph)) for step in (1, 2)})
    assume(resolves(graph, schedule))
    resolved = resolve(graph, schedule)
    run(unet, resolved, partial(inputs, batch=1))
    with executing(unet, resolved) as execution:
        for step in range(3):
            execution.begin_step(step)
            if execution.unet_action(step):
                assert resolved.flops(step) == 0
                continue
            with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
                predict(unet, step, batch=1)
            assert counter.get_total_flops() == resolved.flops(step)


@FEW
@given(st.data())
def test_a_run_from_the_earliest_source_equals_the_whole_run(
    unet: Any, graph: ComponentGraph, data: st.DataObject
) -> None:
    schedule = Schedule(steps=5, actions={step: data.draw(step_actions(graph, order=1)) for step in (3, 4)})
    assume(resolves(graph, schedule))
    resolved = resolve(graph, schedule)
    start = resolved.earliest_source(3)
    assert start >= 1
    whole, later = run(unet, resolved, inputs), run(unet, resolved, inputs, start)
    for step in range(start, 5):
        assert (whole[step] is None) == (later[step] is None)
        assert whole[step] is None or torch.equal(_tensor(whole[step]), _tensor(later[step]))


def test_deepcache_is_a_schedule(unet: Any, graph: ComponentGraph) -> None:
    schedule = Schedule(steps=4, actions={step: {"up_blocks.1.upsamplers.0": REUSE} for step in (1, 2, 3)})
    resolved = check(unet, graph, schedule, inputs)
    deeper = graph.match(["down_blocks.[12].*", "mid_block.*", "up_blocks.[01].*", "down_blocks.0.downsamplers.0"])
    assert set(deeper) - {"up_blocks.1.upsamplers.0"} <= resolved.steps[1].dead
    assert resolved.flops(1) < 0.6 * resolved.flops(0)
    with executing(unet, resolved) as execution:
        ran = _components_run(unet, execution, range(4))
    assert ran[1] == ran[2] == ran[3]
    assert ran[1] == {"down_blocks.0.resnets.0", "up_blocks.2.resnets.0", "up_blocks.2.resnets.1"}


def test_encoder_propagation_is_a_schedule(unet: Any, graph: ComponentGraph) -> None:
    encoder = dict.fromkeys((*graph.of_kind("skip"), "down_blocks.2.attentions.0"), REUSE)
    resolved = check(unet, graph, Schedule(steps=3, actions={1: encoder, 2: encoder}), inputs)
    with executing(unet, resolved) as execution:
        ran = _components_run(unet, execution, range(3))
    assert ran[1] == ran[2] == set(graph.match(["mid_block.*", "up_blocks.*"]))
    assert "conv_in" in resolved.steps[1].dead


def test_a_partly_dead_decoder_block(unet: Any, graph: ComponentGraph) -> None:
    resolved = check(unet, graph, Schedule(steps=2, actions={1: {"up_blocks.1.attentions.0": REUSE}}), inputs)
    assert "up_blocks.1.resnets.0" in resolved.steps[1].dead
    assert "up_blocks.1.resnets.1" in resolved.steps[1].computed
    resnet_inputs: list[torch.Tensor] = []
    hook = unet.up_blocks[1].resnets[0].register_forward_pre_hook(lambda _, args: resnet_inputs.append(args[0]))
    run(unet, resolved, inputs)
    hook.remove()
    assert not resnet_inputs[0].isnan().any()
    assert resnet_inputs[1].isnan().all(), "a dead skip is NaN, though its source is live"


def test_other_batches_and_sizes(unet: Any, graph: ComponentGraph) -> None:
    row = {"up_blocks.1.resnets.0": REUSE, "skip:down_blocks.0.resnets.0": Action(name="zero")}
    for size in ({"batch": 1}, {"batch": 3, "size": 16}):
        check(unet, graph, Schedule(steps=2, actions={1: row}), partial(inputs, **size))


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_bypass_runs_the_whole_shortcut(factor: float, unet: Any, graph: ComponentGraph) -> None:
    """The shortcut of a ResNet block resamples, projects and divides."""
    names = graph.match(["kind:resnet", "kind:downsampler", "kind:upsampler"])
    bypassed = Schedule(steps=1, actions={0: dict.fromkeys(names, Action(name="bypass"))})
    resnets = [module for module in unet.modules() if type(module).__name__ == "ResnetBlock2D"]
    for module in resnets:
        module.output_scale_factor = factor
    try:
        check(unet, graph, bypassed, inputs)
    finally:
        for module in resnets:
            module.output_scale_factor = 1.0


def _components_run(unet: Any, execution: Any, steps: range) -> list[set[str]]:
    """Return the components whose last layer ran at each step."""
    last_layers = {path: f"{path}.to_out.0" if ".attentions." in path else f"{path}.conv2" for path in components(unet)}
    modules, ran_at, handles = dict(unet.named_modules()), [], []
    ran: set[str] = set()
    for path, layer in last_layers.items():
        handles.append(modules[layer].register_forward_hook(lambda *_, path=path: ran.add(path)))
    for step in steps:
        ran.clear()
        execution.begin_step(step)
        predict(unet, step)
        ran_at.append(set(ran))
    for handle in handles:
        handle.remove()
    return ran_at


def _tensor(value: torch.Tensor | None) -> torch.Tensor:
    assert value is not None
    return value


def _resolves(graph: ComponentGraph, schedule: Schedule) -> bool:
    try:
        resolve(graph, schedule)
    except ScheduleError:
        return False
    return True


def test_inputs_differ_between_steps() -> None:
    assert not torch.equal(inputs(0)["sample"], inputs(1)["sample"])
