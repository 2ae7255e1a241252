"""The graph that is read from a UNet: its components, skip connections, parameters and FLOPs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from compute.policy.graph import ComponentGraph
from compute.unet import read_graph
from tests.unet.oracle import components
from tests.unet.tiny import inputs, make_unet, predict


def output_shapes(unet: Any) -> dict[str, tuple[int, ...]]:
    """Return the shape of each module's output."""
    shapes: dict[str, tuple[int, ...]] = {}
    hooks = [
        module.register_forward_hook(lambda _, args, output, path=path: shapes.update({path: tuple(output.shape)}))
        for path, module in unet.named_modules()
        if path in ("conv_in", *components(unet))
    ]
    predict(unet, 0)
    for hook in hooks:
        hook.remove()
    return shapes


def skips(unet: Any) -> list[str]:
    """Return the skip connections in the order in which the encoder computes them."""
    names = ["conv_in"]
    for index, block in enumerate(unet.down_blocks):
        kind = "attentions" if hasattr(block, "attentions") else "resnets"
        names += [f"down_blocks.{index}.{kind}.{layer}" for layer in range(len(block.resnets))]
        names += [f"down_blocks.{index}.downsamplers.0"] if block.downsamplers else []
    return ["skip:" + name for name in names]


def test_every_module_and_skip_is_a_component(unet: Any, graph: ComponentGraph) -> None:
    assert set(graph.names) == {"unet", *components(unet), *skips(unet)}
    assert list(graph.of_kind("skip")) == skips(unet)


def test_network_order_is_the_order_in_which_modules_run(unet: Any, graph: ComponentGraph) -> None:
    ran: list[str] = []
    modules = dict(unet.named_modules())
    hooks = [modules[path].register_forward_hook(lambda *_, path=path: ran.append(path)) for path in components(unet)]
    predict(unet, 0)
    for hook in hooks:
        hook.remove()
    assert ran == [name for name in graph.names if name in modules]


def test_skips_end_where_diffusers_concatenates_them(unet: Any, graph: ComponentGraph) -> None:
    """The channels of a skip and of the previous output add up to the input of the resnet after the concatenation."""
    shapes = output_shapes(unet)
    for concat in (name for name in graph.nodes if name.startswith("concat:")):
        resnet = unet.get_submodule(concat.removeprefix("concat:"))
        previous, skip = graph.inputs[concat]
        assert skip.startswith("skip:")
        assert shapes[previous][1] + shapes[skip.removeprefix("skip:")][1] == resnet.in_channels
        assert shapes[previous][2:] == shapes[skip.removeprefix("skip:")][2:]
    sources = [source for name in graph.nodes if name.startswith("concat:") for source in graph.inputs[name]]
    assert [name for name in sources if name.startswith("skip:")] == skips(unet)[::-1]


def test_levels_count_resolutions(unet: Any, graph: ComponentGraph) -> None:
    shapes = output_shapes(unet)
    for name in (*graph.of_kind("resnet"), *graph.of_kind("attention")):
        assert shapes[name][-1] == 8 >> graph.component(name).level


def test_parameters_add_up(unet: Any, graph: ComponentGraph) -> None:
    total = sum(parameter.numel() for parameter in unet.parameters())
    assert graph.component("unet").parameters == total
    assert sum(node.parameters for name, node in graph.nodes.items() if name != "unet") == total


@pytest.mark.parametrize("size", [8, 16])
def test_flops_add_up_to_the_total_of_torchs_counter(size: int, unet: Any) -> None:
    """On a CPU the counter counts `scaled_dot_product_attention` only in its mathematical kernel."""
    graph = read_graph(unet, sample_size=size, sequence_length=5)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        unet(**inputs(0, batch=1, size=size))
    assert graph.total_flops == pytest.approx(counter.get_total_flops(), rel=0.01)
    assert graph.component("unet").flops == graph.total_flops
    assert all(graph.component(name).flops > 0 for name in graph.names if not name.startswith("skip:"))


def test_reading_changes_nothing_and_calls_no_hooks(unet: Any, graph: ComponentGraph) -> None:
    called: list[int] = []
    hook = unet.conv_in.register_forward_hook(lambda *_: called.append(1))
    before = {name: dict(module.__dict__) for name, module in unet.named_modules()}
    assert read_graph(unet, sequence_length=5) == graph
    assert before == {name: dict(module.__dict__) for name, module in unet.named_modules()}
    hook.remove()
    assert not called


def test_json_round_trip_of_a_real_graph(graph: ComponentGraph) -> None:
    assert ComponentGraph.from_json(graph.to_json()) == graph


def test_two_layers_a_level_and_no_attention() -> None:
    unet = make_unet(layers_per_block=2)
    assert set(read_graph(unet).names) == {"unet", *components(unet), *skips(unet)}
    plain = make_unet(
        down_block_types=("ResnetDownsampleBlock2D",) * 2,
        up_block_types=("ResnetUpsampleBlock2D",) * 2,
        block_out_channels=(32, 64),
        mid_block_type=None,
    )
    assert read_graph(plain).of_kind("attention") == ()
