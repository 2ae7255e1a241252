"""Reads the component graph of a diffusers UNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from compute.policy.graph import UNET, Component, ComponentGraph, Edge, Structure
from compute.unet.blocks import uncompiled
from compute.unet.default_inputs import default_inputs
from compute.unet.trace import Trace, TracedNode
from compute.unet.tracer import trace_call
from store.actions import KINDS, PART_KINDS, admitted_actions

EMBEDDING = "time_embedding"
"""The node of all that doesn't depend on the sample: of the step, the text and other conditions."""


def read_graph(
    unet: Any, sample_size: int | tuple[int, int] | None = None, sequence_length: int = 16
) -> ComponentGraph:
    """Return the component graph of a UNet, with the FLOPs of a forward pass of one sample.

    The UNet is called once on the meta device, with arguments that its configuration asks for: `sample_size` is the
    height and width of the sample, by default that of the configuration, `sequence_length` the number of text tokens.
    Raises UnsupportedUNet for a UNet that cannot be read.
    """
    unet = uncompiled(unet)
    kwargs = default_inputs(unet, sample_size, sequence_length)
    return component_graph(unet, trace_call(unet, (), kwargs), kwargs["sample"], sequence_length)


def read_graph_of_call(unet: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ComponentGraph:
    """Return the component graph of a UNet as it runs in a call with these arguments, whose values are not used.

    So a ControlNet's residuals, adapters and whatever else the arguments hold are part of the graph. FLOPs are those of
    one sample of the batch. Raises UnsupportedUNet for a UNet that cannot be read.
    """
    unet = uncompiled(unet)
    trace = trace_call(unet, args, kwargs)
    text = kwargs.get("encoder_hidden_states", args[2] if len(args) > 2 else None)
    sample = args[0] if args else kwargs["sample"]
    return component_graph(unet, trace, sample, text.shape[1] if isinstance(text, Tensor) and text.ndim > 1 else 1)


def component_graph(unet: nn.Module, trace: Trace, sample: Tensor, sequence_length: int) -> ComponentGraph:
    """Return the component graph that a trace shows."""
    nodes, last = _with_one_output(trace)
    parameters = _parameters(unet, nodes, last)
    levels = _levels(nodes, trace.resolution)
    rest = trace.flops - sum(node.flops for node in nodes if node.kind not in PART_KINDS)
    embedding = TracedNode(name=EMBEDDING, kind="embedding", inputs=(), flops=rest)
    ordered = [TracedNode(name=UNET, kind="unet", inputs=(), flops=trace.flops), embedding, *nodes]
    components: list[Component] = []
    structures: list[Structure] = []
    for position, node in enumerate(ordered):
        common = {
            "name": node.name,
            "kind": node.kind,
            "parameters": parameters[node.name],
            "flops": node.flops // trace.batch,
            "level": levels.get(node.name, 0),
            "position": position,
        }
        if node.kind in KINDS:
            actions = admitted_actions(node.kind, has_residual=node.has_shortcut)
            components.append(Component(**common, bypass_flops=node.bypass_flops // trace.batch, actions=actions))
        else:
            structures.append(Structure(**common))
    return ComponentGraph(
        components=tuple(components),
        structures=tuple(structures),
        edges=tuple(_edges(nodes)),
        input_shape=(_channels(sample, unet), int(sample.shape[-2]), int(sample.shape[-1])),
        sequence_length=sequence_length,
    )


def _channels(sample: Tensor, unet: Any) -> int:
    """Return the channels of a sample; of a video's, frames and channels may be in either order."""
    return int(sample.shape[1]) if sample.ndim == 4 else int(unet.config.in_channels)


def _with_one_output(trace: Trace) -> tuple[list[TracedNode], tuple[str, ...]]:
    """Return the nodes with all structures behind the last component in one output node, and the paths in it."""
    nodes = list(trace.nodes)
    tail: list[TracedNode] = []
    while nodes and nodes[-1].kind in ("convolution", "layer"):
        tail.insert(0, nodes.pop())
    names = {node.name for node in tail}
    inputs = dict.fromkeys(name for node in tail for name in node.inputs if name not in names)
    inputs |= dict.fromkeys(name for name in trace.output_origins if name not in names)
    output = TracedNode(
        name=tail[-1].name if tail else "output",
        kind="output",
        inputs=tuple(inputs),
        resolution=tail[-1].resolution if tail else trace.resolution,
        flops=sum(node.flops for node in tail),
    )
    return [*nodes, output], tuple(node.name for node in tail)


def _parameters(unet: nn.Module, nodes: list[TracedNode], last: tuple[str, ...]) -> dict[str, int]:
    """Return the parameters of each node; those of no node belong to the embedding. `last` are in the output."""
    modules = dict(unet.named_modules())
    counts = {node.name: _count(modules.get(node.name)) for node in nodes}
    counts[nodes[-1].name] = sum(_count(modules[path]) for path in last)
    total = _count(unet)
    counted = sum(counts[node.name] for node in nodes if node.kind not in PART_KINDS)
    return counts | {UNET: total, EMBEDDING: total - counted}


def _count(module: nn.Module | None) -> int:
    return 0 if module is None else sum(parameter.numel() for parameter in module.parameters())


def _levels(nodes: list[TracedNode], full: int) -> Mapping[str, int]:
    """Return how many larger resolutions there are than the one that each node works at."""
    resolutions = sorted({full, *(node.resolution for node in nodes if node.resolution is not None)}, reverse=True)
    levels: dict[str, int] = {}
    level = 0
    for node in nodes:
        if node.resolution is not None:
            level = resolutions.index(node.resolution)
        if node.kind != "input":
            levels[node.name] = level
    return levels


def _edges(nodes: list[TracedNode]) -> list[Edge]:
    return [(source, node.name) for node in nodes for source in node.inputs]
