"""Executed actions give what the oracle gives, which runs every module, and cost what the plan says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from compute.policy.graph import ComponentGraph
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.schedule import Schedule, ScheduleError
from compute.unet import executing
from store.records import Action
from tests.policy.graphs import step_actions
from tests.unet.oracle import components, run_everything
from tests.unet.tiny import inputs, predict

TOLERANCE = 1e-4
REUSE = Action(name="reuse")
FEW = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


def run(unet: Any, resolved: ResolvedSchedule, start: int = 0, **size: int) -> list[torch.Tensor | None]:
    """Return the outputs of all steps from `start` on; None where `unet` is reused."""
    outputs: list[torch.Tensor | None] = [None] * start
    with executing(unet, resolved) as execution:
        for step in range(start, len(resolved.steps)):
            execution.begin_step(step)
            outputs.append(None if execution.unet_action(step) else predict(unet, step, **size))
    return outputs


def check(unet: Any, graph: ComponentGraph, schedule: Schedule, **size: int) -> ResolvedSchedule:
    """Compare outputs and liveness with the oracle's."""
    resolved = resolve(graph, schedule)
    outputs, expected_passes = run(unet, resolved, **size), run_everything(unet, schedule, **size)
    for plan, output, expected in zip(resolved.steps, outputs, expected_passes, strict=True):
        assert (output is None) == (expected is None)
        if output is None or expected is None:
            continue
        assert not expected.output.isnan().any()
        torch.testing.assert_close(output, expected.output, atol=TOLERANCE, rtol=TOLERANCE)
        recorded = set(graph.nodes) - {"unet", "time_embedding", "conv_out"}
        recorded -= {name for name in graph.nodes if name.startswith("concat:")}
        assert plan.dead & recorded == recorded - expected.needed
    return resolved


def all_actions(graph: ComponentGraph) -> list[tuple[str, str]]:
    return [(name, action) for name in graph.names[1:] for action in graph.component(name).actions[1:]]


def test_every_action_of_every_component(unet: Any, graph: ComponentGraph) -> None:
    """Each action has a step of its own in one run, and changes that step."""
    pairs = all_actions(graph)
    assert {action for _, action in pairs} == {"bypass", "zero", "reuse", "reuse_delta"}
    actions = {step: {name: Action.model_validate({"name": action})} for step, (name, action) in enumerate(pairs, 1)}
    schedule = Schedule(steps=len(pairs) + 1, actions=actions)
    check(unet, graph, schedule)
    outputs = run(unet, resolve(graph, schedule))
    for step, (name, action) in enumerate(pairs, 1):
        difference = (_tensor(outputs[step]) - predict(unet, step)).abs().max()
        assert difference > 1e-3, f"{action} of {name} changes nothing"


@FEW
@given(st.data())
def test_any_schedule_equals_running_everything(unet: Any, graph: ComponentGraph, data: st.DataObject) -> None:
    actions = {step: data.draw(step_actions(graph, order=1 if step > 1 else 0)) for step in range(1, 4)}
    schedule = Schedule(steps=4, actions=actions)
    assume(_resolves(graph, schedule))
    check(unet, graph, schedule)


@FEW
@given(st.data())
def test_a_step_costs_what_its_plan_says(unet: Any, graph: ComponentGraph, data: st.DataObject) -> None:
    schedule = Schedule(steps=3, actions={step: data.draw(step_actions(graph)) for step in (1, 2)})
    assume(_resolves(graph, schedule))
    resolved = resolve(graph, schedule)
    run(unet, resolved, batch=1)
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
    assume(_resolves(graph, schedule))
    resolved = resolve(graph, schedule)
    start = resolved.earliest_source(3)
    assert start >= 1
    whole, later = run(unet, resolved), run(unet, resolved, start)
    for step in range(start, 5):
        assert (whole[step] is None) == (later[step] is None)
        assert whole[step] is None or torch.equal(_tensor(whole[step]), _tensor(later[step]))


def test_deepcache_is_a_schedule(unet: Any, graph: ComponentGraph) -> None:
    schedule = Schedule(steps=4, actions={step: {"up_blocks.1.upsamplers.0": REUSE} for step in (1, 2, 3)})
    resolved = check(unet, graph, schedule)
    deeper = graph.match(["down_blocks.[12].*", "mid_block.*", "up_blocks.[01].*", "down_blocks.0.downsamplers.0"])
    assert set(deeper) - {"up_blocks.1.upsamplers.0"} <= resolved.steps[1].dead
    assert resolved.flops(1) < 0.6 * resolved.flops(0)
    with executing(unet, resolved) as execution:
        ran = _components_run(unet, execution, range(4))
    assert ran[1] == ran[2] == ran[3]
    assert ran[1] == {"down_blocks.0.resnets.0", "up_blocks.2.resnets.0", "up_blocks.2.resnets.1"}


def test_encoder_propagation_is_a_schedule(unet: Any, graph: ComponentGraph) -> None:
    encoder = dict.fromkeys((*graph.of_kind("skip"), "down_blocks.2.attentions.0"), REUSE)
    resolved = check(unet, graph, Schedule(steps=3, actions={1: encoder, 2: encoder}))
    with executing(unet, resolved) as execution:
        ran = _components_run(unet, execution, range(3))
    assert ran[1] == ran[2] == set(graph.match(["mid_block.*", "up_blocks.*"]))
    assert "conv_in" in resolved.steps[1].dead


def test_a_partly_dead_decoder_block(unet: Any, graph: ComponentGraph) -> None:
    resolved = check(unet, graph, Schedule(steps=2, actions={1: {"up_blocks.1.attentions.0": REUSE}}))
    assert "up_blocks.1.resnets.0" in resolved.steps[1].dead
    assert "up_blocks.1.resnets.1" in resolved.steps[1].computed
    resnet_inputs: list[torch.Tensor] = []
    hook = unet.up_blocks[1].resnets[0].register_forward_pre_hook(lambda _, args: resnet_inputs.append(args[0]))
    run(unet, resolved)
    hook.remove()
    assert not resnet_inputs[0].isnan().any()
    assert resnet_inputs[1].isnan().all(), "a dead skip is NaN, though its source is live"


def test_other_batches_and_sizes(unet: Any, graph: ComponentGraph) -> None:
    row = {"up_blocks.1.resnets.0": REUSE, "skip:down_blocks.0.resnets.0": Action(name="zero")}
    for size in ({"batch": 1}, {"batch": 3, "size": 16}):
        check(unet, graph, Schedule(steps=2, actions={1: row}), **size)


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_bypass_runs_the_whole_shortcut(factor: float, unet: Any, graph: ComponentGraph) -> None:
    """The shortcut of a ResNet block resamples, projects and divides."""
    names = graph.match(["kind:resnet", "kind:downsampler", "kind:upsampler"])
    bypassed = Schedule(steps=1, actions={0: dict.fromkeys(names, Action(name="bypass"))})
    resnets = [module for module in unet.modules() if type(module).__name__ == "ResnetBlock2D"]
    for module in resnets:
        module.output_scale_factor = factor
    try:
        check(unet, graph, bypassed)
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
