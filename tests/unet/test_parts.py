"""The parts of transformers: their names, kinds and costs, and that old stores' graphs are unchanged by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import compute.torchvision_ops  # noqa: F401  (diffusers imports torchvision)
from compute.policy.graph import ComponentGraph
from compute.unet import read_graph
from tests.unet.sd import make_sd_unet

from diffusers import UNet2DConditionModel  # isort: skip

ROOT = Path(__file__).parents[2]
TRANSFORMER = "down_blocks.0.attentions.0"


@pytest.fixture(scope="module")
def graph() -> ComponentGraph:
    return read_graph(make_sd_unet(transformer_layers_per_block=2))


def test_a_transformer_is_one_component_with_parts(graph: ComponentGraph) -> None:
    blocks = [f"{TRANSFORMER}.transformer_blocks.{index}" for index in range(2)]
    parts = tuple(f"{block}.{part}" for block in blocks for part in ("attn1", "attn2", "ff"))
    assert graph.parts[TRANSFORMER] == parts
    kinds = [graph.component(part).kind for part in parts]
    assert kinds == ["self_attention", "cross_attention", "feed_forward"] * 2
    assert graph.component(TRANSFORMER).kind == "attention"
    assert {graph.component(part).level for part in parts} == {graph.component(TRANSFORMER).level}
    assert {graph.component(part).actions for part in parts} == {("compute", "bypass", "reuse", "reuse_delta")}


def test_parts_are_not_counted_twice(graph: ComponentGraph) -> None:
    whole = graph.component(TRANSFORMER)
    of_parts = sum(graph.component(part).flops for part in graph.parts[TRANSFORMER])
    assert 0.5 * whole.flops < of_parts < whole.flops
    assert graph.total_flops == graph.component("unet").flops
    assert graph.flops([TRANSFORMER, *graph.parts[TRANSFORMER]]) - graph.flops([]) == whole.flops


def test_a_first_attention_that_reads_the_text_is_cross_attention() -> None:
    graph = read_graph(make_sd_unet(only_cross_attention=True))
    assert graph.component(f"{TRANSFORMER}.transformer_blocks.0.attn1").kind == "cross_attention"
    assert graph.of_kind("self_attention") == ("mid_block.attentions.0.transformer_blocks.0.attn1",)


def test_a_sweep_of_everything_leaves_parts_out(graph: ComponentGraph) -> None:
    assert not set(graph.match(["*"])) & graph.parents.keys()
    assert set(graph.match(["*.attn2"])) == set(graph.of_kind("cross_attention"))


def test_the_graph_of_glide_mini_is_the_stored_one() -> None:
    """Byte for byte, so that names, keys and costs of older stores and policies hold."""
    unet_class: Any = UNet2DConditionModel
    unet = unet_class.from_pretrained(ROOT / "compute/models/mini/weights/glide-mini/unet")
    text = (ROOT / "dashboard/example/reports/graph.json").read_text().strip()
    stored = ComponentGraph.from_json(text)
    assert read_graph(unet, sequence_length=stored.sequence_length).to_json() == text
