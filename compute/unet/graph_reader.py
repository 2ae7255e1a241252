"""Reads the component graph of a `UNet2DConditionModel`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from compute.policy.graph import SKIP_PREFIX, UNET, Component, ComponentGraph, Edge, Structure, StructureKind
from compute.unet.blocks import Layer, Layout, UnsupportedUNet, read_blocks
from compute.unet.trace import Trace, trace
from store.actions import Kind, admitted_actions

EMBEDDING_MODULES = (
    "time_proj",
    "time_embedding",
    "class_embedding",
    "add_time_proj",
    "add_embedding",
    "encoder_hid_proj",
)
OUTPUT_MODULES = ("conv_norm_out", "conv_act", "conv_out")


def read_graph(unet: Any, sample_size: int | None = None, sequence_length: int = 16) -> ComponentGraph:
    """Return the component graph of a UNet, with the FLOPs of a forward pass of one sample.

    `sample_size` is the height and width of the sample, by default that of the UNet's configuration; `sequence_length`
    is the number of text tokens. Raises UnsupportedUNet for a UNet with a part that is not supported.
    """
    size = sample_size or unet.config.sample_size
    if not isinstance(size, int):
        raise UnsupportedUNet(f"the UNet's sample_size is {size}; pass sample_size, the pictures' height and width")
    layouts = tuple(read_blocks(unet))
    shape = (int(unet.config.in_channels), size, size)
    builder = _GraphBuilder(unet=unet, trace=trace(unet, (1, *shape), sequence_length))
    return builder.build(layouts, shape, sequence_length)


def skip_name(source: str) -> str:
    """Return the name of the skip connection that starts at the output of the module `source`."""
    return SKIP_PREFIX + source


def concat_name(resnet: str) -> str:
    """Return the name of the concatenation before a resnet of the decoder."""
    return "concat:" + resnet


@dataclass(kw_only=True)
class _GraphBuilder:
    """Collects the nodes and edges of layouts in the order in which they run."""

    unet: Any
    trace: Trace
    components: list[Component] = field(default_factory=list)
    structures: list[Structure] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    open_skips: list[str] = field(default_factory=list)
    """The skip connections that have not reached their concatenation yet, the innermost last."""

    def build(self, layouts: tuple[Layout, ...], shape: tuple[int, int, int], sequence_length: int) -> ComponentGraph:
        self._add_component(UNET, "unet", level=0, module=self.unet, flops=self.trace.total_flops)
        self._add_structure("time_embedding", "embedding", EMBEDDING_MODULES)
        self._add_structure("conv_in", "convolution", ("conv_in",))
        previous = "conv_in"
        self._add_skip(previous, 0)
        for layout in layouts:
            for layer in layout.layers:
                previous = self._add_layer(layer, layout.level, previous)
        self._add_structure("conv_out", "output", OUTPUT_MODULES)
        self.edges.append((previous, "conv_out"))
        return ComponentGraph(
            components=tuple(self.components),
            structures=tuple(self.structures),
            edges=tuple(self.edges),
            input_shape=shape,
            sequence_length=sequence_length,
        )

    def _add_layer(self, layer: Layer, level: int, previous: str) -> str:
        """Add a layer whose input is the node `previous`, and return its name."""
        if layer.takes_skip:
            concat = concat_name(layer.path)
            self._add_structure(concat, "concat", level=level)
            self.edges += [(previous, concat), (self.open_skips.pop(), concat)]
            previous = concat
        self._add_component(
            layer.path,
            layer.kind,
            level=level,
            has_residual=layer.has_shortcut,
            module=layer.module,
            flops=self.trace.flops.get(layer.path, 0),
        )
        self.edges.append((previous, layer.path))
        if layer.gives_skip:
            self._add_skip(layer.path, level)
        return layer.path

    def _add_skip(self, source: str, level: int) -> None:
        name = skip_name(source)
        self._add_component(name, "skip", level=level)
        self.edges.append((source, name))
        self.open_skips.append(name)

    def _add_component(
        self,
        name: str,
        kind: Kind,
        *,
        level: int,
        has_residual: bool = False,
        module: nn.Module | None = None,
        flops: int = 0,
    ) -> None:
        component = Component(
            name=name,
            kind=kind,
            parameters=_parameter_count(module),
            flops=flops,
            bypass_flops=self.trace.flops.get(f"{name}.conv_shortcut", 0),
            actions=admitted_actions(kind, has_residual=has_residual),
            level=level,
            position=self._next_position(),
        )
        self.components.append(component)

    def _add_structure(self, name: str, kind: StructureKind, modules: tuple[str, ...] = (), level: int = 0) -> None:
        present = list(_present_modules(self.unet, modules))
        structure = Structure(
            name=name,
            kind=kind,
            parameters=sum(_parameter_count(module) for _, module in present),
            flops=sum(self.trace.flops.get(path, 0) for path, _ in present),
            level=level,
            position=self._next_position(),
        )
        self.structures.append(structure)

    def _next_position(self) -> int:
        return len(self.components) + len(self.structures)


def _present_modules(unet: Any, names: tuple[str, ...]) -> Iterator[tuple[str, nn.Module]]:
    for name in names:
        module = getattr(unet, name, None)
        if isinstance(module, nn.Module):
            yield name, module


def _parameter_count(module: nn.Module | None) -> int:
    return 0 if module is None else sum(parameter.numel() for parameter in module.parameters())
