"""The context manager `executing`: it changes nothing but its schedule's actions and restores the UNet exactly."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compute.policy.graph import ComponentGraph
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.schedule import Schedule
from compute.unet import ExecutionError, executing
from tests.policy.graphs import step_actions
from tests.unet.tiny import DEEP, make_unet, predict


def state(unet: Any) -> dict[str, list[tuple[str, int]]]:
    """Return the names and identities of every module's attributes, in order."""
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


def test_another_forward_is_called_and_stays(deepcache: ResolvedSchedule) -> None:
    """A forward that other code has set before is called by the dispatcher, and stays in place afterwards."""
    unet = make_unet()
    called: list[str] = []
    paths = (DEEP, "down_blocks.0.resnets.0", "up_blocks.1", "conv_in")
    for path in paths:
        _set_forward(unet, path, called)
    before, plain = state(unet), predict(unet, 0)
    called.clear()
    with executing(unet, deepcache) as execution:
        execution.begin_step(0)
        assert torch.equal(predict(unet, 0), plain)
        assert sorted(called) == sorted(paths)
        called.clear()
        execution.begin_step(1)
        predict(unet, 1)
        assert sorted(called) == ["conv_in", "down_blocks.0.resnets.0"], "a dead or reused module is not called"
    assert state(unet) == before


def _set_forward(unet: Any, path: str, called: list[str]) -> None:
    module = unet.get_submodule(path)
    original = module.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        called.append(path)
        return original(*args, **kwargs)

    module.forward = forward


def test_forward_hooks_of_other_code_see_computed_and_reused_outputs(unet: Any, deepcache: ResolvedSchedule) -> None:
    module = unet.get_submodule(DEEP)
    hook = module.register_forward_hook(lambda _, args, output: output * 2)
    before = state(unet)
    with executing(unet, deepcache) as execution:
        outputs = []
        for step in range(2):
            execution.begin_step(step)
            outputs.append(predict(unet, 0))
    assert state(unet) == before
    hook.remove()
    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-5, rtol=1e-5)


def test_a_forward_set_within_the_context_stays(deepcache: ResolvedSchedule) -> None:
    """It wraps the dispatcher, which calls the original after the context has ended."""
    unet = make_unet()
    called: list[str] = []
    plain = predict(unet, 0)
    with executing(unet, deepcache):
        _set_forward(unet, DEEP, called)
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
