"""UNets that other code has compiled, hooked or patched, and modes of torch that are on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from torch.utils.flop_counter import FlopCounterMode

from compute.policy.graph import ComponentGraph
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.schedule import Schedule
from compute.unet import ExecutionError, read_graph
from store.records import Action
from tests.unet.checks import call, run
from tests.unet.narrow import call_inputs
from tests.unet.sd import make_sd_unet

REUSE = Action(name="reuse")
WHOLE = {"up_blocks.1.attentions.0": REUSE, "down_blocks.0.attentions.0": Action(name="bypass")}
PART = {"up_blocks.1.attentions.0.transformer_blocks.0.attn1": REUSE}
DROP = {"unet": REUSE}


@pytest.fixture(scope="module")
def graph() -> ComponentGraph:
    return read_graph(make_sd_unet())


def schedule(graph: ComponentGraph, row: dict[str, Action]) -> ResolvedSchedule:
    return resolve(graph, Schedule(steps=3, actions={1: row}))


def outputs(unet: Any, resolved: ResolvedSchedule) -> list[Any]:
    plain = make_sd_unet()
    return run(unet, resolved, lambda step: call_inputs(plain, step, batch=2))


def compiled(what: str) -> Any:
    """Return a UNet of which something is compiled, called once."""
    unet = make_sd_unet()
    if what == "the UNet, by torch.compile":
        unet = torch.compile(unet, backend="eager")
    elif what == "the UNet, in place":
        unet.compile(backend="eager")
    for module in list(unet.modules()):
        if type(module).__name__ == what:
            module.compile(backend="eager")
    call(unet, call_inputs(make_sd_unet()))
    return unet


UNETS = ("the UNet, by torch.compile", "the UNet, in place")
REGIONS = ("BasicTransformerBlock", "Transformer2DModel", "ResnetBlock2D")


@pytest.mark.parametrize("what", [*UNETS, *REGIONS])
def test_a_compiled_unet_reads_and_drops_steps(what: str, graph: ComponentGraph) -> None:
    unet = compiled(what)
    assert read_graph(unet) == graph
    expected = outputs(make_sd_unet(), schedule(graph, DROP))
    for one, other in zip(outputs(unet, schedule(graph, DROP)), expected, strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("what", REGIONS)
def test_components_around_compiled_regions_are_acted_on(what: str, graph: ComponentGraph) -> None:
    unet, resolved = compiled(what), schedule(graph, WHOLE)
    before = [(key, id(value)) for module in unet.modules() for key, value in module.__dict__.items()]
    for one, other in zip(outputs(unet, resolved), outputs(make_sd_unet(), resolved), strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    assert [(key, id(value)) for module in unet.modules() for key, value in module.__dict__.items()] == before


@pytest.mark.parametrize(
    ("what", "row", "where"),
    [
        (UNETS[0], WHOLE, "inside the UNet that torch.compile"),
        (UNETS[1], WHOLE, "inside the UNet that torch.compile"),
        (REGIONS[0], PART, "inside a BasicTransformerBlock that torch.compile"),
        (REGIONS[1], PART, "inside a Transformer2DModel that torch.compile"),
    ],
)
def test_acting_inside_of_what_is_compiled_is_refused(
    what: str, row: dict[str, Action], where: str, graph: ComponentGraph
) -> None:
    with pytest.raises(ExecutionError, match=where):
        outputs(compiled(what), schedule(graph, row))


class Recorder(ModelHook):
    """A hook of accelerate, as those that move weights before a module runs."""

    def __init__(self) -> None:
        self.devices: list[str] = []

    def pre_forward(self, module: Any, *args: Any, **kwargs: Any) -> Any:
        tensor = args[0] if args else next(iter(kwargs.values()))
        self.devices.append(tensor.device.type)
        return args, kwargs


def test_hooks_of_accelerate_run_in_calls_and_never_while_reading(graph: ComponentGraph) -> None:
    unet, recorder = make_sd_unet(), Recorder()
    for module in (unet, unet.mid_block.attentions[0], unet.conv_in):
        add_hook_to_module(module, recorder)
    assert read_graph(unet) == graph
    assert recorder.devices == []
    for one, other in zip(
        outputs(unet, schedule(graph, WHOLE)), outputs(make_sd_unet(), schedule(graph, WHOLE)), strict=True
    ):
        assert torch.equal(one, other)
    assert set(recorder.devices) == {"cpu"}


def test_a_counter_does_not_see_the_reading(graph: ComponentGraph) -> None:
    unet = make_sd_unet()
    with FlopCounterMode(display=False) as counter:
        read_graph(unet)
    assert counter.get_total_flops() == 0


def test_reading_works_in_inference_mode_and_under_a_default_device(graph: ComponentGraph) -> None:
    with torch.inference_mode(), torch.device("cpu"):
        assert read_graph(make_sd_unet()) == graph


def test_a_kept_tensor_that_other_code_changes_is_refused(graph: ComponentGraph) -> None:
    """A patched decoder block writes into its input, which diffusers' own class does not do."""
    unet = make_sd_unet()
    original = unet.up_blocks[1].forward

    def forward(hidden_states: Any, *args: Any, **kwargs: Any) -> Any:
        hidden_states *= 1.5
        return original(hidden_states, *args, **kwargs)

    unet.up_blocks[1].forward = forward
    resolved = resolve(graph, Schedule(steps=2, actions={1: {"up_blocks.0.upsamplers.0": REUSE}}))
    with pytest.raises(ExecutionError, match=r"up_blocks\.0\.upsamplers\.0 can't reuse step 0 at step 1: .* in place"):
        outputs(unet, resolved)


def test_a_shape_that_changes_between_source_and_reuse_is_refused(graph: ComponentGraph) -> None:
    """Guidance that a callback switches off halves the batch; what is computed afterwards can be reused again."""
    unet = make_sd_unet()
    sizes = [2, 1, 1]
    wrong = resolve(graph, Schedule(steps=3, actions={2: {"mid_block.resnets.0": REUSE}, 1: WHOLE}))
    with pytest.raises(ExecutionError, match=r"shape \(1, 4, 8, 8\) at step 1 and had \(2, 4, 8, 8\) at step 0"):
        run(unet, wrong, lambda step: call_inputs(unet, step, batch=sizes[step]))
    right = resolve(graph, Schedule(steps=3, actions={2: WHOLE}))
    picture = run(unet, right, lambda step: call_inputs(unet, step, batch=sizes[step]))[2]
    assert picture is not None
    assert not picture.isnan().any()
