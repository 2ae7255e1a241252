"""The layouts of the supported diffusers block types.

A block reader turns a block into a `Layout`: its layers in the order in which its forward calls them, which of them
take a skip connection (concatenated with their input) and which of them give one (their output). The component graph
and the dispatchers are both built from layouts, so another block type is one more entry in `BLOCK_READERS`.
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
    """A UNet with a part that is not supported; the message names it and what is supported."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A component of a block: its module, the module's path in the UNet, and its skip connections."""

    path: str
    kind: Kind
    module: nn.Module
    takes_skip: bool = False
    gives_skip: bool = False

    @property
    def has_shortcut(self) -> bool:
        """Whether the module adds a residual branch to a shortcut around it, so that the branch can be dropped."""
        return self.kind == "attention" or is_resnet(self.module)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A block: its path in the UNet, its role and resolution level, and its layers in the order in which they run."""

    path: str
    role: Role
    level: int
    module: nn.Module
    layers: tuple[Layer, ...]


def is_resnet(module: nn.Module) -> bool:
    """Return whether a module is a diffusers `ResnetBlock2D`."""
    return type(module).__name__ == "ResnetBlock2D"


def _checked_layer(path: str, kind: Kind, module: nn.Module, **skips: bool) -> Layer:
    """Return a layer. Raises UnsupportedUNet for a module that is not supported as this kind."""
    if kind == "resnet" and not is_resnet(module):
        raise UnsupportedUNet(f"{path} is a {type(module).__name__}; ResnetBlock2D is supported")
    if kind == "attention":
        processor = type(getattr(module, "processor", None)).__name__
        if "AddedKV" not in processor:
            raise UnsupportedUNet(
                f"{path} uses {processor}; attention processors with added keys and values (AddedKV) are supported"
            )
    return Layer(path=path, kind=kind, module=module, **skips)


def _checked_resamplers(
    path: str, kind: Kind, modules: Iterable[nn.Module] | None, gives_skip: bool = False
) -> list[Layer]:
    return [
        _checked_layer(f"{path}.{kind}s.{index}", kind, module, gives_skip=gives_skip)
        for index, module in enumerate(modules or ())
    ]


def _read_down_block(path: str, block: Any) -> tuple[Layer, ...]:
    """Resnets, each with an attention where the block has them, and a downsampler; each of the groups gives a skip."""
    attentions = getattr(block, "attentions", None)
    layers: list[Layer] = []
    for index, resnet in enumerate(block.resnets):
        layers.append(_checked_layer(f"{path}.resnets.{index}", "resnet", resnet, gives_skip=attentions is None))
        if attentions is not None:
            layers.append(_checked_layer(f"{path}.attentions.{index}", "attention", attentions[index], gives_skip=True))
    return (*layers, *_checked_resamplers(path, "downsampler", block.downsamplers, gives_skip=True))


def _read_mid_block(path: str, block: Any) -> tuple[Layer, ...]:
    """A resnet, then pairs of attention and resnet."""
    layers = [_checked_layer(f"{path}.resnets.0", "resnet", block.resnets[0])]
    for index, attention in enumerate(block.attentions):
        layers.append(_checked_layer(f"{path}.attentions.{index}", "attention", attention))
        layers.append(_checked_layer(f"{path}.resnets.{index + 1}", "resnet", block.resnets[index + 1]))
    return tuple(layers)


def _read_up_block(path: str, block: Any) -> tuple[Layer, ...]:
    """Resnets, which take a skip, each with an attention where the block has them, and an upsampler."""
    attentions = getattr(block, "attentions", None)
    layers: list[Layer] = []
    for index, resnet in enumerate(block.resnets):
        layers.append(_checked_layer(f"{path}.resnets.{index}", "resnet", resnet, takes_skip=True))
        if attentions is not None:
            layers.append(_checked_layer(f"{path}.attentions.{index}", "attention", attentions[index]))
    return (*layers, *_checked_resamplers(path, "upsampler", block.upsamplers))


BlockReader = Callable[[str, Any], tuple[Layer, ...]]
BLOCK_READERS: dict[str, BlockReader] = {
    "ResnetDownsampleBlock2D": _read_down_block,
    "SimpleCrossAttnDownBlock2D": _read_down_block,
    "UNetMidBlock2DSimpleCrossAttn": _read_mid_block,
    "ResnetUpsampleBlock2D": _read_up_block,
    "SimpleCrossAttnUpBlock2D": _read_up_block,
}


def read_block(path: str, role: Role, level: int, module: nn.Module) -> Layout:
    """Return the layout of a block. Raises UnsupportedUNet for a block type or a layer that is not supported."""
    block_type = type(module).__name__
    if block_type not in BLOCK_READERS:
        raise UnsupportedUNet(f"{path} is a {block_type}; supported block types: {', '.join(BLOCK_READERS)}")
    return Layout(path=path, role=role, level=level, module=module, layers=BLOCK_READERS[block_type](path, module))


def read_blocks(unet: Any) -> Iterator[Layout]:
    """Yield the layouts of a `UNet2DConditionModel`'s blocks in the order in which they run. See `read_block`."""
    last = len(unet.down_blocks) - 1
    for index, block in enumerate(unet.down_blocks):
        yield read_block(f"down_blocks.{index}", "down", index, block)
    if unet.mid_block is not None:
        yield read_block("mid_block", "mid", last, unet.mid_block)
    for index, block in enumerate(unet.up_blocks):
        yield read_block(f"up_blocks.{index}", "up", last - index, block)
