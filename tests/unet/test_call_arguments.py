"""What a pipeline's call adds to a UNet: ControlNet, adapters, GLIGEN, IP-Adapter, LoRA, FreeU, several texts."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import LoraConfig
from torch import Tensor

from compute.policy.graph import ComponentGraph
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule
from compute.unet import ExecutionError, UnsupportedUNet, executing, read_graph, read_graph_of_call
from compute.unet.call_traces import trace_of_call
from store.records import Action
from tests.unet.checks import call
from tests.unet.narrow import call_inputs, randomise
from tests.unet.sd import make_sd_unet

REUSE = Action(name="reuse")
BATCH = 2
LORA_SCALE = 0.19
"""Multiplying by it and dividing again changes the last bits of a layer's scale, which is 8/3."""
Case = tuple[Any, dict[str, Any]]


def noise(*shape: int) -> Tensor:
    return torch.randn(BATCH, *shape, generator=torch.Generator().manual_seed(sum(shape)))


def plain(**changes: Any) -> Case:
    unet = make_sd_unet(**changes)
    return unet, call_inputs(unet, batch=BATCH)


def control_net() -> Case:
    unet, inputs = plain()
    residuals = (*(noise(16, 8, 8) for _ in range(3)), noise(16, 4, 4), noise(32, 4, 4), noise(32, 4, 4))
    return unet, inputs | {
        "down_block_additional_residuals": residuals,
        "mid_block_additional_residual": noise(32, 4, 4),
    }


def t2i_adapter() -> Case:
    unet, inputs = plain()
    return unet, inputs | {"down_intrablock_additional_residuals": [noise(16, 8, 8), noise(32, 4, 4)]}


def both_adapters() -> Case:
    unet, inputs = control_net()
    return unet, inputs | t2i_adapter()[1]


def free_u() -> Case:
    unet, inputs = t2i_adapter()
    unet.enable_freeu(0.9, 0.2, 1.2, 1.4)
    return unet, inputs


def lora() -> Case:
    unet, inputs = plain()
    unet.add_adapter(LoraConfig(r=3, target_modules=["to_q", "to_k", "conv1", "conv_shortcut", "conv_in", "proj_out"]))
    randomise(unet)
    return unet, inputs | {"cross_attention_kwargs": {"scale": LORA_SCALE}}


def gligen() -> Case:
    unet, inputs = plain(attention_type="gated")
    boxes = {"boxes": noise(30, 4), "positive_embeddings": noise(30, 32), "masks": torch.ones(BATCH, 30)}
    return unet, inputs | {"cross_attention_kwargs": {"gligen": boxes}}


def ip_adapter() -> Case:
    unet, inputs = plain()
    layers: dict[str, Tensor] = {}
    names = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    for index, name in enumerate(names):
        width = unet.get_submodule(name.removesuffix(".processor")).to_q.out_features
        layers |= {f"{2 * index + 1}.to_{key}_ip.weight": 0.1 * torch.ones(width, 32) for key in "kv"}
    projection = {"proj.weight": torch.ones(4 * 32, 20), "proj.bias": torch.ones(4 * 32)}
    norm = {"norm.weight": torch.ones(32), "norm.bias": torch.ones(32)}
    unet._load_ip_adapter_weights([{"image_proj": projection | norm, "ip_adapter": layers}])
    randomise(unet)
    return unet, inputs | {"added_cond_kwargs": {"image_embeds": [noise(1, 20)]}}


def sliced() -> Case:
    unet, inputs = plain()
    unet.set_attention_slice("auto")
    return unet, inputs


def in_chunks() -> Case:
    """Each feed-forward is called once for each of four chunks of positions."""
    unet, inputs = plain()
    for module in unet.modules():
        if hasattr(module, "set_chunk_feed_forward"):
            module.set_chunk_feed_forward(16, 1)
    return unet, inputs


CASES: dict[str, Callable[[], Case]] = {
    "ControlNet": control_net,
    "T2I-Adapter": t2i_adapter,
    "ControlNet and T2I-Adapter": both_adapters,
    "FreeU and T2I-Adapter": free_u,
    "LoRA": lora,
    "GLIGEN": gligen,
    "IP-Adapter": ip_adapter,
    "attention slices": sliced,
    "chunked feed-forward": in_chunks,
    "cross-attention alone": lambda: plain(only_cross_attention=True),
    "several layers, linear projection": lambda: plain(transformer_layers_per_block=2, use_linear_projection=True),
    "no middle block": lambda: plain(mid_block_type=None),
    "an odd size": lambda: plain(sample_size=(9, 7)),
    "classes": lambda: plain(num_class_embeds=7),
    "texts and pictures": lambda: plain(
        encoder_hid_dim=12, encoder_hid_dim_type="text_image_proj", addition_embed_type="text_image"
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_reusing_twice_what_would_be_computed_again_is_bit_identical(case: str) -> None:
    """Twice, so that a kept tensor that something writes into would show; the arguments are new in each call."""
    unet, inputs = CASES[case]()
    graph = read_graph_of_call(unet, (), inputs)
    expected = call(unet, copy.deepcopy(inputs))
    rows = [{}, *({name: REUSE} for name in graph.names[1:] for _ in range(2))]
    with executing(unet, resolve(graph, Schedule(steps=len(rows), actions=dict(enumerate(rows))))) as execution:
        for step, row in enumerate(rows):
            execution.begin_step(step)
            assert torch.equal(call(unet, copy.deepcopy(inputs)), expected), row


def test_residuals_are_inputs_of_the_graph() -> None:
    unet, inputs = both_adapters()
    graph = read_graph_of_call(unet, (), inputs)
    edges = set(graph.edges)
    assert ("input:down_block_additional_residuals.0", "skip:conv_in") in edges
    assert ("input:mid_block_additional_residual", "concat:up_blocks.0.resnets.0") in edges
    assert ("input:down_intrablock_additional_residuals.1", "mid_block.resnets.0") in edges
    without = read_graph(unet)
    assert {edge for edge in edges if not edge[0].startswith("input:")} == set(without.edges)
    assert without.total_flops == read_graph_of_call(unet, (), call_inputs(unet, batch=3, tokens=16)).total_flops
    assert len(inputs["down_intrablock_additional_residuals"]) == 2, "the call's list is as it was"


def test_what_is_written_in_place_is_known() -> None:
    unet, inputs = free_u()
    assert trace_of_call(unet, (), inputs).written >= {"down_blocks.1.resnets.1", "up_blocks.1.attentions.0"}
    unet.disable_freeu()
    assert trace_of_call(unet, (), inputs).written == {"down_blocks.1.resnets.1"}


def test_a_lora_keeps_its_scale() -> None:
    unet, inputs = lora()
    before = [dict(module.scaling) for module in unet.modules() if hasattr(module, "scaling")]
    assert before[0]["default"] * LORA_SCALE / LORA_SCALE != before[0]["default"]
    read_graph_of_call(unet, (), inputs)
    assert [dict(module.scaling) for module in unet.modules() if hasattr(module, "scaling")] == before


def test_a_call_whose_graph_differs_is_refused() -> None:
    """The middle block was taken away after the graph had been read."""
    unet, inputs = plain()
    graph = read_graph(unet)
    assert isinstance(graph, ComponentGraph)
    unet.up_blocks[0].resnets = unet.up_blocks[0].resnets[:2]
    schedule = Schedule(steps=1, actions={0: {"skip:conv_in": Action(name="zero")}})
    with pytest.raises(ExecutionError, match="this one lacks"), executing(unet, resolve(graph, schedule)):
        call(unet, inputs)


def test_what_cannot_be_called_is_named() -> None:
    """diffusers' blocks give two transformers side by side an argument that they do not take."""
    unet = make_sd_unet(dual_cross_attention=True)
    with pytest.raises(UnsupportedUNet, match=r"^down_blocks\.0\.attentions\.0 \(DualTransformer2DModel\) cannot be"):
        read_graph(unet)
