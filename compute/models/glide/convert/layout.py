"""What an official checkpoint holds: its parameters with their shapes, and what becomes of each.

The names are those of openai/glide-text2im (`unet.py`, `text2im_model.py`, `xf.py`, commit 69b5307).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from compute.models.glide.unet import UNetSizes

Part = Literal["unet", "text_encoder"]
Conversion = Callable[[Tensor], tuple[Tensor, ...]]


@dataclass(frozen=True, kw_only=True)
class TextSizes:
    """The sizes of a text transformer; `pooled` is the width of the vector that is added to the time embedding."""

    vocabulary: int
    length: int
    width: int
    layers: int
    heads: int
    pooled: int


@dataclass(frozen=True, kw_only=True)
class GlideSizes:
    """The sizes of one checkpoint, which holds a UNet and its text transformer."""

    unet: UNetSizes
    text: TextSizes


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A parameter of the checkpoint, and the parameters of a pipeline's part that are made from it."""

    source: str
    shape: tuple[int, ...]
    part: Part
    targets: tuple[str, ...]
    convert: Conversion


def entries(sizes: GlideSizes) -> list[Entry]:
    """Return all parameters of a checkpoint of these sizes."""
    return [*_unet(sizes.unet), *_text(sizes.text)]


def _unet(sizes: UNetSizes) -> Iterator[Entry]:
    first, time = sizes.channels[0], sizes.time_width
    yield from _affine("unet", "time_embed.0", "time_embedding.linear_1", (time, first))
    yield from _affine("unet", "time_embed.2", "time_embedding.linear_2", (time, time))
    yield from _affine("unet", "input_blocks.0.0", "conv_in", (first, sizes.in_channels, 3, 3))
    number, width, skips = 1, first, [first]
    for level, channels in enumerate(sizes.channels):
        for index in range(sizes.layers):
            yield from _layer(sizes, level, f"input_blocks.{number}", f"down_blocks.{level}", index, width)
            number, width = number + 1, channels
            skips.append(width)
        if level + 1 < len(sizes.channels):
            target = f"down_blocks.{level}.downsamplers.0"
            yield from _resnet(sizes, f"input_blocks.{number}.0", target, width, width)
            number += 1
            skips.append(width)
    yield from _resnet(sizes, "middle_block.0", "mid_block.resnets.0", width, width)
    yield from _attention(sizes, "middle_block.1", "mid_block.attentions.0", width)
    yield from _resnet(sizes, "middle_block.2", "mid_block.resnets.1", width, width)
    yield from _up_blocks(sizes, width, skips)
    yield from _affine("unet", "out.0", "conv_norm_out", (first,))
    yield from _affine("unet", "out.2", "conv_out", (6, first, 3, 3))


def _up_blocks(sizes: UNetSizes, width: int, skips: list[int]) -> Iterator[Entry]:
    number = 0
    for up, level in enumerate(reversed(range(len(sizes.channels)))):
        for index in range(sizes.layers + 1):
            source, target = f"output_blocks.{number}", f"up_blocks.{up}"
            yield from _layer(sizes, level, source, target, index, width + skips.pop())
            number, width = number + 1, sizes.channels[level]
        if level:
            source = f"{source}.{2 if sizes.attention[level] else 1}"
            yield from _resnet(sizes, source, f"{target}.upsamplers.0", width, width)


def _layer(sizes: UNetSizes, level: int, source: str, target: str, index: int, width: int) -> Iterator[Entry]:
    """Yield a residual block that reads `width` channels, and its attention where the level has it."""
    channels = sizes.channels[level]
    yield from _resnet(sizes, f"{source}.0", f"{target}.resnets.{index}", width, channels)
    if sizes.attention[level]:
        yield from _attention(sizes, f"{source}.1", f"{target}.attentions.{index}", channels)


def _resnet(sizes: UNetSizes, source: str, target: str, width: int, channels: int) -> Iterator[Entry]:
    yield from _affine("unet", f"{source}.in_layers.0", f"{target}.norm1", (width,))
    yield from _affine("unet", f"{source}.in_layers.2", f"{target}.conv1", (channels, width, 3, 3))
    yield from _affine("unet", f"{source}.emb_layers.1", f"{target}.time_emb_proj", (2 * channels, sizes.time_width))
    yield from _affine("unet", f"{source}.out_layers.0", f"{target}.norm2", (channels,))
    yield from _affine("unet", f"{source}.out_layers.3", f"{target}.conv2", (channels, channels, 3, 3))
    if width != channels:
        yield from _affine("unet", f"{source}.skip_connection", f"{target}.conv_shortcut", (channels, width, 1, 1))


def _attention(sizes: UNetSizes, source: str, target: str, channels: int) -> Iterator[Entry]:
    def projection(name: str, names: tuple[str, ...], rows: int, columns: int) -> Iterator[Entry]:
        for kind, shape in (("weight", (rows, columns, 1)), ("bias", (rows,))):
            targets = tuple(f"{target}.{part}.{kind}" for part in names)
            convert = _of_heads(channels // sizes.head_channels, len(names))
            yield Entry(source=f"{source}.{name}.{kind}", shape=shape, part="unet", targets=targets, convert=convert)

    yield from _affine("unet", f"{source}.norm", f"{target}.group_norm", (channels,))
    yield from projection("qkv", ("to_q", "to_k", "to_v"), 3 * channels, channels)
    yield from projection("encoder_kv", ("add_k_proj", "add_v_proj"), 2 * channels, sizes.text_width)
    yield from projection("proj_out", ("to_out.0",), channels, channels)


def _text(sizes: TextSizes) -> Iterator[Entry]:
    width = sizes.width
    part: Part = "text_encoder"
    for name in ("positional_embedding", "padding_embedding"):
        yield Entry(source=name, shape=(sizes.length, width), part=part, targets=(name,), convert=_kept)
    name = "token_embedding.weight"
    yield Entry(source=name, shape=(sizes.vocabulary, width), part=part, targets=(name,), convert=_kept)
    for index in range(sizes.layers):
        source, target = f"transformer.resblocks.{index}", f"blocks.{index}"
        for kind, shape in (("weight", (3 * width, width)), ("bias", (3 * width,))):
            name, qkv = f"{source}.attn.c_qkv.{kind}", (f"{target}.qkv.{kind}",)
            yield Entry(source=name, shape=shape, part=part, targets=qkv, convert=_heads_inside(sizes.heads))
        yield from _affine(part, f"{source}.attn.c_proj", f"{target}.proj", (width, width))
        yield from _affine(part, f"{source}.ln_1", f"{target}.norm1", (width,))
        yield from _affine(part, f"{source}.ln_2", f"{target}.norm2", (width,))
        yield from _affine(part, f"{source}.mlp.c_fc", f"{target}.fc1", (4 * width, width))
        yield from _affine(part, f"{source}.mlp.c_proj", f"{target}.fc2", (width, 4 * width))
    yield from _affine(part, "final_ln", "final_norm", (width,))
    yield from _affine(part, "transformer_proj", "pooled_proj", (sizes.pooled, width))


def _affine(part: Part, source: str, target: str, shape: tuple[int, ...]) -> Iterator[Entry]:
    """Yield a weight of this shape and its bias, which stay as they are."""
    for kind, expected in (("weight", shape), ("bias", shape[:1])):
        names = (f"{target}.{kind}",)
        yield Entry(source=f"{source}.{kind}", shape=expected, part=part, targets=names, convert=_kept)


def _kept(tensor: Tensor) -> tuple[Tensor, ...]:
    return (tensor,)


def _of_heads(heads: int, count: int) -> Conversion:
    """Split a projection whose rows are (heads, count, head channels) into `count`; a convolution becomes linear."""

    def convert(tensor: Tensor) -> tuple[Tensor, ...]:
        rows = tensor.squeeze(-1) if tensor.ndim > 1 else tensor
        parts = rows.unflatten(0, (heads, count, -1)).unbind(1)
        return tuple(part.flatten(0, 1) for part in parts)

    return convert


def _heads_inside(heads: int) -> Conversion:
    """Reorder the rows of a projection from (heads, 3, head channels) to (3, heads, head channels)."""

    def convert(tensor: Tensor) -> tuple[Tensor, ...]:
        return (tensor.unflatten(0, (heads, 3, -1)).transpose(0, 1).flatten(0, 2),)

    return convert
