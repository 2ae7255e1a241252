"""The component graph: names and patterns, costs, and its JSON form."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings

from compute.policy.graph import Component, ComponentGraph, UnknownComponent
from tests.policy.graphs import chain, graphs

GRAPH = chain("block.0", "plain.1", "block.2", skips=(("block.0", "block.2"),))


@settings(deadline=None)
@given(graphs())
def test_json_round_trip(graph: ComponentGraph) -> None:
    again = ComponentGraph.from_json(graph.to_json())
    assert again == graph
    assert again.to_json() == graph.to_json()
    assert again.inputs == graph.inputs


@settings(deadline=None)
@given(graphs())
def test_every_edge_points_forwards_in_network_order(graph: ComponentGraph) -> None:
    order = list(graph.nodes)
    assert all(order.index(source) < order.index(target) for source, target in graph.edges)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["plain.1"], ("plain.1",)),
        (["block.*"], ("block.0", "block.2")),
        (["kind:downsampler", "block.[01]"], ("block.0", "plain.1")),
        (["block.2", "block.0", "block.2"], ("block.0", "block.2")),
        (["skip:*"], ("skip:block.0",)),
        (["kind:unet"], ("unet",)),
        (["*"], GRAPH.names),
        ([], ()),
    ],
)
def test_match(patterns: list[str], expected: tuple[str, ...]) -> None:
    assert GRAPH.match(patterns) == expected


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("block.7", ("'block.7'", "block.0", "block.2")),
        ("skip:block.9", ("'skip:block.9'", "skip:block.0")),
        ("kind:attention", ("'kind:attention'", "resnet, downsampler", "kinds here are")),
        ("concat:block.2", ("'concat:block.2'", "block.2")),
        ("zzz*", ("'zzz*'", "names look like")),
        ("Block.*", ("'Block.*'",)),
    ],
)
def test_the_refusal_of_a_pattern_names_it_and_similar_names(pattern: str, named: tuple[str, ...]) -> None:
    with pytest.raises(UnknownComponent) as caught:
        GRAPH.match(["block.0", pattern])
    text = str(caught.value)
    assert "\n" not in text
    assert all(name in text for name in named), text


FORMER = chain("block.0", "former.1")
PARTS = ("former.1.transformer_blocks.0.attn1", "former.1.transformer_blocks.0.ff")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*", ("unet", "block.0", "former.1")),
        ("former.*", ("former.1",)),
        ("former.1", ("former.1",)),
        ("*.attn1", PARTS[:1]),
        ("former.1.*", PARTS),
        (PARTS[1], PARTS[1:]),
        ("kind:feed_forward", PARTS[1:]),
        ("kind:resnet", ("block.0", "former.1")),
    ],
)
def test_parts_are_matched_by_patterns_of_their_own(pattern: str, names: tuple[str, ...]) -> None:
    assert FORMER.match([pattern]) == names


def test_parts_lie_inside_of_a_component() -> None:
    assert FORMER.parents == dict.fromkeys(PARTS, "former.1")
    assert FORMER.parts == {"former.1": PARTS}
    fields = FORMER.model_dump()
    fields["components"] = [fields["components"][-1] | {"name": "elsewhere.attn1"}]
    with pytest.raises(ValueError, match=r"elsewhere\.attn1 is a part .*, but no component is around it"):
        ComponentGraph.model_validate(fields | {"edges": []})


def test_component_refuses_structures() -> None:
    assert GRAPH.component("block.0").kind == "resnet"
    with pytest.raises(UnknownComponent, match="no component is called 'conv_in'"):
        GRAPH.component("conv_in")


def test_flops_of_a_step() -> None:
    assert GRAPH.total_flops == 1 + 2 + 3 + 4 + 16 + 64
    assert GRAPH.flops([]) == 1, "the embedding runs whenever the network does"
    assert GRAPH.flops(["block.0", "unet", "conv_out"]) == 1 + 4 + 3
    assert GRAPH.flops(["plain.1"], bypassed=["block.2"]) == 1 + 16 + 16


def test_broken_graphs_are_refused() -> None:
    fields = GRAPH.model_dump()
    with pytest.raises(ValueError, match="points backwards"):
        ComponentGraph.model_validate(fields | {"edges": [("block.2", "block.0")]})
    with pytest.raises(ValueError, match="names a node that the graph lacks"):
        ComponentGraph.model_validate(fields | {"edges": [("block.2", "block.9")]})
    with pytest.raises(ValueError, match="same name"):
        ComponentGraph.model_validate(fields | {"components": fields["components"] * 2})


def test_parents_of_many_parts_are_found_quickly() -> None:
    """A graph from a store may have as many parts as its file has room for."""
    wholes = [f"blocks.{number}" for number in range(10_000)]
    names = [(name, "attention") for name in wholes] + [(f"{name}.x.attn1", "self_attention") for name in wholes]
    fields = {"parameters": 0, "flops": 0, "actions": ("compute",), "level": 0}
    components = [
        Component.model_validate({"name": name, "kind": kind, "position": place, **fields})
        for place, (name, kind) in enumerate(names)
    ]
    start = time.process_time()
    graph = ComponentGraph(
        components=tuple(components), structures=(), edges=(), input_shape=(1, 1, 1), sequence_length=1
    )
    assert all(part == f"{parent}.x.attn1" for part, parent in graph.parents.items()) and len(graph.parents) == 10_000
    assert time.process_time() - start < 2
