"""How each diffusers block type is laid out: the one place that reads a block.

A reader turns a block module into a `Layout`: its layers in the order in which the block's forward calls them, which
of them take a skip connection (the decoder concatenates before them) and after which of them one leaves. The graph and
the dispatchers are both built from layouts, so another block type is one more entry in `BLOCK_READERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from store.actions import Kind
from store.errors import SkipscopeError

Role = Literal["down", "mid", "up"]


class UnsupportedUNet(SkipscopeError):
    """A UNet with a part that can't be read; the text names it and what is supported."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One component inside a block: its module, the path from the UNet, and how it meets the skip connections."""

    path: str
    kind: Kind
    module: nn.Module
    takes_skip: bool = False
    gives_skip: bool = False

    @property
    def has_shortcut(self) -> bool:
        """Whether the module adds a residual to a path around it, so that the residual alone can be dropped."""
        return self.kind == "attention" or is_resnet(self.module)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A block: its path from the UNet, its place in the network, and its layers in the order they run."""

    path: str
    role: Role
    level: int
    module: nn.Module
    layers: tuple[Layer, ...]


def is_resnet(module: nn.Module) -> bool:
    """Whether a module is diffusers' `ResnetBlock2D`."""
    return type(module).__name__ == "ResnetBlock2D"


def _layer(path: str, kind: Kind, module: nn.Module, **skips: bool) -> Layer:
    if kind == "resnet" and not is_resnet(module):
        raise UnsupportedUNet(f"{path} is a {type(module).__name__}; ResnetBlock2D is supported")
    if kind == "attention":
        processor = type(getattr(module, "processor", None)).__name__
        if "AddedKV" not in processor:
            raise UnsupportedUNet(
                f"{path} uses {processor}; attention processors with added keys and values (AddedKV) are supported"
            )
    return Layer(path=path, kind=kind, module=module, **skips)


def _resamplers(path: str, kind: Kind, modules: Iterable[nn.Module] | None, gives_skip: bool = False) -> list[Layer]:
    return [
        _layer(f"{path}.{kind}s.{index}", kind, module, gives_skip=gives_skip)
        for index, module in enumerate(modules or ())
    ]


def _down(path: str, block: Any) -> tuple[Layer, ...]:
    """`ResnetDownsampleBlock2D`, `SimpleCrossAttnDownBlock2D`: (resnet, attention?) each giving a skip; downsampler."""
    attentions = getattr(block, "attentions", None)
    layers: list[Layer] = []
    for index, resnet in enumerate(block.resnets):
        layers.append(_layer(f"{path}.resnets.{index}", "resnet", resnet, gives_skip=attentions is None))
        if attentions is not None:
            layers.append(_layer(f"{path}.attentions.{index}", "attention", attentions[index], gives_skip=True))
    return (*layers, *_resamplers(path, "downsampler", block.downsamplers, gives_skip=True))


def _mid(path: str, block: Any) -> tuple[Layer, ...]:
    """`UNetMidBlock2DSimpleCrossAttn`: a resnet, then (attention, resnet) pairs."""
    layers = [_layer(f"{path}.resnets.0", "resnet", block.resnets[0])]
    for index, attention in enumerate(block.attentions):
        layers.append(_layer(f"{path}.attentions.{index}", "attention", attention))
        layers.append(_layer(f"{path}.resnets.{index + 1}", "resnet", block.resnets[index + 1]))
    return tuple(layers)


def _up(path: str, block: Any) -> tuple[Layer, ...]:
    """`ResnetUpsampleBlock2D`, `SimpleCrossAttnUpBlock2D`: (concat, resnet, attention?); upsampler."""
    attentions = getattr(block, "attentions", None)
    layers: list[Layer] = []
    for index, resnet in enumerate(block.resnets):
        layers.append(_layer(f"{path}.resnets.{index}", "resnet", resnet, takes_skip=True))
        if attentions is not None:
            layers.append(_layer(f"{path}.attentions.{index}", "attention", attentions[index]))
    return (*layers, *_resamplers(path, "upsampler", block.upsamplers))


BlockReader = Callable[[str, Any], tuple[Layer, ...]]
BLOCK_READERS: dict[str, BlockReader] = {
    "ResnetDownsampleBlock2D": _down,
    "SimpleCrossAttnDownBlock2D": _down,
    "UNetMidBlock2DSimpleCrossAttn": _mid,
    "ResnetUpsampleBlock2D": _up,
    "SimpleCrossAttnUpBlock2D": _up,
}


def read_block(path: str, role: Role, level: int, module: nn.Module) -> Layout:
    """The layout of one block; raises UnsupportedUNet for a block type without a reader."""
    block_type = type(module).__name__
    if block_type not in BLOCK_READERS:
        raise UnsupportedUNet(f"{path} is a {block_type}; supported block types: {', '.join(BLOCK_READERS)}")
    return Layout(path=path, role=role, level=level, module=module, layers=BLOCK_READERS[block_type](path, module))


def read_blocks(unet: Any) -> Iterator[Layout]:
    """The layouts of a `UNet2DConditionModel`'s blocks in the order they run."""
    last = len(unet.down_blocks) - 1
    for index, block in enumerate(unet.down_blocks):
        yield read_block(f"down_blocks.{index}", "down", index, block)
    if unet.mid_block is not None:
        yield read_block("mid_block", "mid", last, unet.mid_block)
    for index, block in enumerate(unet.up_blocks):
        yield read_block(f"up_blocks.{index}", "up", last - index, block)
