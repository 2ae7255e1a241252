"""Execution of a schedule: its cache, calls within a step, refusals, and the outputs of dead modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from compute.policy.graph import ComponentGraph
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.schedule import Schedule, ScheduleError
from compute.unet import Execution, ExecutionError, executing, read_graph
from store.records import Action
from tests.policy.graphs import step_actions
from tests.unet.tiny import DEEP, make_unet, predict

REUSE = Action(name="reuse")


def run_steps(execution: Execution, call: Callable[[int], torch.Tensor], stop: int) -> list[torch.Tensor]:
    """Return the results of `call(step)` at steps 0 to `stop` - 1."""
    outputs = []
    for step in range(stop):
        execution.begin_step(step)
        outputs.append(call(step))
    return outputs


def test_the_calls_of_a_step_share_no_cache_entry(unet: Any, deepcache: ResolvedSchedule) -> None:
    """Guidance in two calls per step equals two runs with one call per step."""
    outputs: dict[str, list[torch.Tensor]] = {}
    with executing(unet, deepcache) as execution:
        both = run_steps(execution, lambda step: torch.cat([predict(unet, step), predict(unet, step + 50)]), 3)
    for name, offset in (("first", 0), ("second", 50)):
        with executing(unet, deepcache) as execution:
            outputs[name] = run_steps(execution, lambda step, offset=offset: predict(unet, step + offset), 3)  # type: ignore[misc]
    for step in range(3):
        assert torch.equal(both[step], torch.cat([outputs["first"][step], outputs["second"][step]]))


def test_a_run_after_a_reset_equals_the_first(unet: Any, deepcache: ResolvedSchedule) -> None:
    with executing(unet, deepcache) as execution:
        first = run_steps(execution, lambda step: predict(unet, step), 3)
        execution.reset()
        assert execution.cache_bytes == 0
        run_steps(execution, lambda step: predict(unet, step + 9, batch=1), 3)
        execution.reset()
        again = run_steps(execution, lambda step: predict(unet, step), 3)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_the_cache_is_freed_after_the_last_read(unet: Any, deepcache: ResolvedSchedule) -> None:
    size = 2 * 32 * 8 * 8 * 4
    with executing(unet, deepcache) as execution:
        kept = []
        for step in range(3):
            execution.begin_step(step)
            predict(unet, step)
            kept.append(execution.cache_bytes)
        assert kept == [size, size, size]
        execution.reset()
        assert execution.cache_bytes == 0
        assert execution.peak_cache_bytes == size
    graph = deepcache.graph
    once = resolve(graph, Schedule(steps=4, actions={1: {DEEP: REUSE}}))
    with executing(unet, once) as execution:
        run_steps(execution, lambda step: predict(unet, step), 3)
        assert execution.cache_bytes == 0, "no later step reads it"


def test_a_tensor_with_two_cache_entries_counts_once(unet: Any, graph: ComponentGraph) -> None:
    row = {"skip:down_blocks.0.resnets.0": REUSE, "down_blocks.0.resnets.0": REUSE}
    with executing(unet, resolve(graph, Schedule(steps=2, actions={1: row}))) as execution:
        run_steps(execution, lambda step: predict(unet, step), 1)
        assert execution.cache_bytes == 2 * 32 * 8 * 8 * 4


def test_wrong_calls_are_refused(unet: Any, graph: ComponentGraph, deepcache: ResolvedSchedule) -> None:
    with executing(unet, deepcache) as execution:
        with pytest.raises(ExecutionError, match="called outside a run: "):
            predict(unet, 0)
        with pytest.raises(ExecutionError, match=r"step 3 lies outside the schedule: steps 0 to 2"):
            execution.begin_step(3)
        execution.begin_step(1)
        with pytest.raises(
            ExecutionError, match=r"up_blocks.1.upsamplers.0 reuses step 0 at step 1.*a run must compute what"
        ):
            predict(unet, 1)
        with pytest.raises(ExecutionError, match="step 0 comes after step 1: "):
            execution.begin_step(0)
        execution.reset()
        execution.begin_step(0)
        predict(unet, 0)
        execution.begin_step(1)
        with pytest.raises(ExecutionError, match=r"shape \(1, 3, 8, 8\) at step 1 and had \(2, 3, 8, 8\)"):
            predict(unet, 1, batch=1)
        predict(unet, 1)
        with pytest.raises(ExecutionError, match="equally often"):
            predict(unet, 1)
    dropped = resolve(graph, Schedule(steps=2, actions={1: {"unet": REUSE}}))
    with executing(unet, dropped) as execution:
        execution.begin_step(1)
        assert execution.unet_action(1) == Action(name="reuse", space="eps")
        assert execution.unet_action(0) is None
        with pytest.raises(ExecutionError, match="called at step 1, which reuses unet from step 0"):
            predict(unet, 1)


def test_a_schedule_for_another_unet_is_refused(unet: Any) -> None:
    other = read_graph(make_unet(layers_per_block=2))
    refusal = pytest.raises(ExecutionError, match=r"another UNet: this one lacks down_blocks.0.resnets.1")
    with refusal, executing(unet, resolve(other, Schedule.empty(1))):
        pass


def test_dead_outputs_are_nan_and_take_no_memory(unet: Any, deepcache: ResolvedSchedule) -> None:
    outputs: list[torch.Tensor] = []
    hook = unet.down_blocks[1].register_forward_hook(lambda _, args, output: outputs.extend([output[0], *output[1]]))
    with executing(unet, deepcache) as execution:
        run_steps(execution, lambda step: predict(unet, step), 2)
    hook.remove()
    half = len(outputs) // 2
    for computed, dead in zip(outputs[:half], outputs[half:], strict=True):
        assert computed.shape == dead.shape
        assert dead.isnan().all()
        assert dead.untyped_storage().nbytes() == 4


def test_half_precision_and_inference_mode(graph: ComponentGraph) -> None:
    half = make_unet().to(torch.bfloat16)
    row = {DEEP: REUSE, "down_blocks.0.resnets.0": Action(name="bypass"), "skip:conv_in": Action(name="zero")}
    resolved = resolve(graph, Schedule(steps=2, actions={1: row}))
    with executing(half, resolved) as execution, torch.inference_mode():
        for step in range(2):
            execution.begin_step(step)
            output = half(
                torch.ones(1, 3, 8, 8, dtype=torch.bfloat16),
                torch.tensor(5),
                encoder_hidden_states=torch.ones(1, 5, 32, dtype=torch.bfloat16),
                class_labels=torch.ones(1, 128, dtype=torch.bfloat16),
            ).sample
            assert output.dtype == torch.bfloat16
            assert not output.isnan().any()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_nan_reaches_the_output(unet: Any, graph: ComponentGraph, data: st.DataObject) -> None:
    schedule = Schedule(steps=4, actions={step: data.draw(step_actions(graph, order=step - 1)) for step in (2, 3)})
    try:
        resolved = resolve(graph, schedule)
    except ScheduleError:
        assume(False)
    with executing(unet, resolved) as execution:
        for step in range(4):
            execution.begin_step(step)
            assert execution.unet_action(step) or not predict(unet, step).isnan().any()
