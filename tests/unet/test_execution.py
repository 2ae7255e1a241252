"""The context manager: an empty schedule changes nothing, leaving restores exactly, misuse is told."""

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
from compute.unet import ExecutionError, executing, read_graph
from store.records import Action
from tests.policy.graphs import step_actions
from tests.unet.tiny import make_unet, predict

REUSE = Action(name="reuse")
DEEP = "up_blocks.1.upsamplers.0"


@pytest.fixture(scope="module")
def deepcache(graph: ComponentGraph) -> ResolvedSchedule:
    return resolve(graph, Schedule(steps=3, actions={1: {DEEP: REUSE}, 2: {DEEP: REUSE}}))


def state(unet: Any) -> dict[str, list[tuple[str, int]]]:
    """Every module's attributes by identity and order."""
    return {path: [(key, id(value)) for key, value in module.__dict__.items()] for path, module in unet.named_modules()}


def test_the_empty_schedule_is_bit_identical(unet: Any, graph: ComponentGraph) -> None:
    with executing(unet, resolve(graph, Schedule.empty(2))) as execution:
        for step in range(2):
            execution.begin_step(step)
            inside = predict(unet, step)
            assert torch.equal(inside, predict(unet, step))
        assert execution.peak_cache_bytes == 0
    assert torch.equal(inside, predict(unet, 1))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_steps_without_actions_are_bit_identical(unet: Any, graph: ComponentGraph, data: st.DataObject) -> None:
    schedule = Schedule(steps=3, actions={1: data.draw(step_actions(graph))})
    before = state(unet)
    with executing(unet, resolve(graph, schedule)) as execution:
        outputs = {}
        for step in range(3):
            execution.begin_step(step)
            if execution.unet_action(step) is None:
                outputs[step] = predict(unet, step)
    assert state(unet) == before
    assert torch.equal(outputs[0], predict(unet, 0))
    assert torch.equal(outputs[2], predict(unet, 2))


class Stop(Exception):
    """Raised inside the context on purpose."""


@pytest.mark.parametrize("where", ["in the body", "in a module", "at the entry"])
def test_restoration_is_exact_after_an_exception(where: str, deepcache: ResolvedSchedule) -> None:
    unet = make_unet()
    before = state(unet)

    def fail(*_: Any) -> None:
        raise Stop

    hook = unet.mid_block.resnets[0].register_forward_hook(fail) if where == "in a module" else None
    resolved = deepcache
    if where == "at the entry":
        fields = deepcache.graph.model_dump()
        fields["components"] = [c for c in fields["components"] if c["name"] != "mid_block.attentions.0"]
        fields["edges"] = [edge for edge in fields["edges"] if "mid_block.attentions.0" not in edge]
        resolved = resolve(ComponentGraph.model_validate(fields), Schedule.empty(3))
    with pytest.raises((Stop, ExecutionError)), executing(unet, resolved) as execution:
        execution.begin_step(0)
        predict(unet, 0)
        raise Stop
    if hook is not None:
        hook.remove()
    assert state(unet) == before
    with executing(unet, deepcache):
        pass
    assert state(unet) == before


def test_beside_a_foreign_forward(deepcache: ResolvedSchedule) -> None:
    """A forward that somebody set before is called through, and is there again afterwards."""
    unet = make_unet()
    called: list[str] = []
    paths = (DEEP, "down_blocks.0.resnets.0", "up_blocks.1", "conv_in")
    for path in paths:
        _override(unet, path, called)
    before, plain = state(unet), predict(unet, 0)
    called.clear()
    with executing(unet, deepcache) as execution:
        execution.begin_step(0)
        assert torch.equal(predict(unet, 0), plain)
        assert sorted(called) == sorted(paths)
        called.clear()
        execution.begin_step(1)
        predict(unet, 1)
        assert sorted(called) == ["conv_in", "down_blocks.0.resnets.0"], "what is dead or reused is not called"
    assert state(unet) == before


def _override(unet: Any, path: str, called: list[str]) -> None:
    module = unet.get_submodule(path)
    original = module.forward

    def foreign(*args: Any, **kwargs: Any) -> Any:
        called.append(path)
        return original(*args, **kwargs)

    module.forward = foreign


def test_beside_foreign_hooks(unet: Any, deepcache: ResolvedSchedule) -> None:
    """A forward hook execution on what acting gives, computed or reused."""
    module = unet.get_submodule(DEEP)
    hook = module.register_forward_hook(lambda _, args, output: output * 2)
    before = state(unet)
    with executing(unet, deepcache) as execution:
        outputs = _steps(execution, lambda step: predict(unet, 0), 2)
    assert state(unet) == before
    hook.remove()
    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-5, rtol=1e-5)


def test_who_wraps_a_dispatcher_keeps_what_they_set(deepcache: ResolvedSchedule) -> None:
    """Somebody who overrides a forward inside the context and stays gets the original through a dispatcher at rest."""
    unet = make_unet()
    called: list[str] = []
    plain = predict(unet, 0)
    with executing(unet, deepcache):
        _override(unet, DEEP, called)
    assert torch.equal(predict(unet, 0), plain)
    assert called == [DEEP]


def test_nesting_is_refused_and_another_unet_is_not(unet: Any, deepcache: ResolvedSchedule) -> None:
    with executing(unet, deepcache):
        with pytest.raises(ExecutionError, match="already carries out a schedule"), executing(unet, deepcache):
            pass
        with executing(make_unet(), deepcache):
            pass
    with executing(unet, deepcache):
        pass


def _steps(execution: Any, call: Callable[[int], torch.Tensor], stop: int) -> list[torch.Tensor]:
    outputs = []
    for step in range(stop):
        execution.begin_step(step)
        outputs.append(call(step))
    return outputs


def test_calls_of_a_step_have_slots_of_their_own(unet: Any, deepcache: ResolvedSchedule) -> None:
    """Guidance in two calls a step gives what two runs of one call a step give."""
    outputs: dict[str, list[torch.Tensor]] = {}
    with executing(unet, deepcache) as execution:
        both = _steps(execution, lambda step: torch.cat([predict(unet, step), predict(unet, step + 50)]), 3)
    for name, offset in (("first", 0), ("second", 50)):
        with executing(unet, deepcache) as execution:
            outputs[name] = _steps(execution, lambda step, offset=offset: predict(unet, step + offset), 3)  # type: ignore[misc]
    for step in range(3):
        assert torch.equal(both[step], torch.cat([outputs["first"][step], outputs["second"][step]]))


def test_a_reset_begins_a_run_that_equals_the_first(unet: Any, deepcache: ResolvedSchedule) -> None:
    with executing(unet, deepcache) as execution:
        first = _steps(execution, lambda step: predict(unet, step), 3)
        execution.reset()
        assert execution.cache_bytes == 0
        _steps(execution, lambda step: predict(unet, step + 9, batch=1), 3)
        execution.reset()
        again = _steps(execution, lambda step: predict(unet, step), 3)
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


def test_the_cache_is_measured_and_freed(unet: Any, deepcache: ResolvedSchedule) -> None:
    size = 2 * 32 * 8 * 8 * 4
    with executing(unet, deepcache) as execution:
        held = []
        for step in range(3):
            execution.begin_step(step)
            predict(unet, step)
            held.append(execution.cache_bytes)
        assert held == [size, size, size]
        execution.reset()
        assert execution.cache_bytes == 0
        assert execution.peak_cache_bytes == size
    graph = deepcache.graph
    once = resolve(graph, Schedule(steps=4, actions={1: {DEEP: REUSE}}))
    with executing(unet, once) as execution:
        _steps(execution, lambda step: predict(unet, step), 3)
        assert execution.cache_bytes == 0, "nobody reads it any more"


def test_one_tensor_under_two_names_counts_once(unet: Any, graph: ComponentGraph) -> None:
    row = {"skip:down_blocks.0.resnets.0": REUSE, "down_blocks.0.resnets.0": REUSE}
    with executing(unet, resolve(graph, Schedule(steps=2, actions={1: row}))) as execution:
        _steps(execution, lambda step: predict(unet, step), 1)
        assert execution.cache_bytes == 2 * 32 * 8 * 8 * 4


def test_misuse_is_told(unet: Any, graph: ComponentGraph, deepcache: ResolvedSchedule) -> None:
    with executing(unet, deepcache) as execution:
        with pytest.raises(ExecutionError, match="before begin_step"):
            predict(unet, 0)
        with pytest.raises(ExecutionError, match=r"step 3 lies outside the schedule: steps 0 to 2"):
            execution.begin_step(3)
        execution.begin_step(1)
        with pytest.raises(ExecutionError, match=r"up_blocks.1.upsamplers.0 reuses step 0 at step 1.*earliest_source"):
            predict(unet, 1)
        with pytest.raises(ExecutionError, match=r"step 0 after step 1: call reset\(\)"):
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
    refusal = pytest.raises(ExecutionError, match=r"another UNet: only one of the two has down_blocks.0.resnets.1")
    with refusal, executing(unet, resolve(other, Schedule.empty(1))):
        pass


def test_dead_outputs_are_nan_and_free(unet: Any, deepcache: ResolvedSchedule) -> None:
    seen: list[torch.Tensor] = []
    hook = unet.down_blocks[1].register_forward_hook(lambda _, args, output: seen.extend([output[0], *output[1]]))
    with executing(unet, deepcache) as execution:
        _steps(execution, lambda step: predict(unet, step), 2)
    hook.remove()
    computed, dead = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    for one, other in zip(computed, dead, strict=True):
        assert one.shape == other.shape
        assert other.isnan().all()
        assert other.untyped_storage().nbytes() == 4


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
def test_no_stale_nan_reaches_an_output(unet: Any, graph: ComponentGraph, data: st.DataObject) -> None:
    schedule = Schedule(steps=4, actions={step: data.draw(step_actions(graph, order=1)) for step in (2, 3)})
    try:
        resolved = resolve(graph, schedule)
    except ScheduleError:
        assume(False)
    with executing(unet, resolved) as execution:
        for step in range(4):
            execution.begin_step(step)
            assert execution.unet_action(step) or not predict(unet, step).isnan().any()
