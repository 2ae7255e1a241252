"""The sizes of a checkpoint, read from the shapes of its parameters, and the check that it holds nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from compute.models.glide.convert.layout import GlideSizes, TextSizes, entries
from compute.models.glide.unet import UNetSizes
from store.errors import SkipscopeError

Shapes = Mapping[str, tuple[int, ...]]
_HEAD_CHANNELS = 64
"""Channels of an attention head, in the UNet and in the text transformer: no shape tells them."""
_NORM_GROUPS = 32
_SHOWN = 5  # names in a message
_TELLING = {
    "time_embed.0.weight": 2,
    "input_blocks.0.0.weight": 4,
    "middle_block.1.qkv.weight": 3,
    "output_blocks.0.0.in_layers.2.weight": 4,
    "token_embedding.weight": 2,
    "positional_embedding": 2,
    "transformer_proj.weight": 2,
}
"""The parameters that the sizes are read from first, and their axes."""


class ConversionError(SkipscopeError):
    """A checkpoint, vocabulary or output folder that cannot be used; the message names it and the reason."""


def sizes_of(name: str, shapes: Shapes) -> GlideSizes:
    """Return the sizes of a checkpoint that holds exactly what they say.

    `name` is what messages call it. Raises ConversionError for another model's checkpoint, and for one with missing or
    unexpected parameters or another shape, which it names.
    """
    strange = [key for key, axes in _TELLING.items() if len(shapes.get(key, ())) != axes]
    if strange:
        raise ConversionError(
            f"{name}: is no checkpoint of OpenAI's GLIDE: it lacks {listed(strange)}; it holds "
            f"{listed(sorted(shapes)) or 'no tensors'}"
        )
    sizes = GlideSizes(unet=_unet_sizes(name, shapes), text=_text_sizes(name, shapes))
    _check(name, shapes, {entry.source: entry.shape for entry in entries(sizes)})
    return sizes


def listed(names: Sequence[str]) -> str:
    """Return the first few of some names and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _unet_sizes(name: str, shapes: Shapes) -> UNetSizes:
    """Read a UNet's sizes.

    Each level but the first ends its last up block with one more residual block, the upsampler; so they tell how many
    levels there are, and the number of up blocks how many layers a level has.
    """
    ups = _count(shapes, r"output_blocks\.(\d+)\.0\.in_layers\.2\.weight")
    levels = 1 + _count(shapes, r"output_blocks\.(\d+)\.[12]\.in_layers\.2\.weight")
    layers = ups // levels - 1
    if layers < 1 or ups != levels * (layers + 1):
        raise ConversionError(f"{name}: is no checkpoint of GLIDE: {ups} up blocks do not make {levels} equal levels")
    firsts = [1 + level * (layers + 1) for level in range(levels)]
    channels = tuple(_rows(shapes, f"input_blocks.{first}.0.in_layers.2.weight") for first in firsts)
    time_width, model_channels = shapes["time_embed.0.weight"]
    if channels[0] != model_channels:
        raise ConversionError(
            f"{name}: its first level has {channels[0]} channels and its time embedding {model_channels}; "
            "equal numbers are supported"
        )
    for width in channels:
        if width < 1 or width % _NORM_GROUPS:
            raise ConversionError(
                f"{name}: its levels have {channels} channels; multiples of {_NORM_GROUPS} are accepted"
            )
    attention = tuple(f"input_blocks.{first}.1.qkv.weight" in shapes for first in firsts)
    for width, has_attention in zip(channels, (*attention[:-1], True), strict=True):
        if has_attention and width % _HEAD_CHANNELS:
            raise ConversionError(
                f"{name}: attention on {width} channels; GLIDE's heads have {_HEAD_CHANNELS}, so multiples are accepted"
            )
    return UNetSizes(
        side=2 ** (levels + 2),  # as in the official `model_creation.py`: 64 with four levels, 256 with six
        channels=channels,
        attention=attention,
        layers=layers,
        text_width=shapes["token_embedding.weight"][1],
        time_width=time_width,
        in_channels=shapes["input_blocks.0.0.weight"][1],
        head_channels=_HEAD_CHANNELS,
        norm_groups=_NORM_GROUPS,
    )


def _text_sizes(name: str, shapes: Shapes) -> TextSizes:
    vocabulary, width = shapes["token_embedding.weight"]
    if width % _HEAD_CHANNELS:
        raise ConversionError(f"{name}: a text width of {width}; GLIDE's heads have {_HEAD_CHANNELS} channels each")
    return TextSizes(
        vocabulary=vocabulary,
        length=shapes["positional_embedding"][0],
        width=width,
        layers=_count(shapes, r"transformer\.resblocks\.(\d+)\.ln_1\.weight"),
        heads=width // _HEAD_CHANNELS,
        pooled=shapes["transformer_proj.weight"][0],
    )


def _count(shapes: Shapes, pattern: str) -> int:
    """Return how many numbers occur where a pattern has its group."""
    return len({found.group(1) for key in shapes if (found := re.fullmatch(pattern, key))})


def _rows(shapes: Shapes, key: str) -> int:
    return shapes.get(key, (0,))[0]


def _check(name: str, shapes: Shapes, expected: Shapes) -> None:
    missing = [key for key in expected if key not in shapes]
    unexpected = [key for key in shapes if key not in expected]
    other = [
        f"{key} {list(shapes[key])} instead of {list(shape)}"
        for key, shape in expected.items()
        if key in shapes and shapes[key] != shape
    ]
    found = [("missing: ", missing), ("unexpected: ", unexpected), ("of another shape: ", other)]
    problems = [word + listed(keys) for word, keys in found if keys]
    if problems:
        raise ConversionError(f"{name}: does not hold the parameters of a GLIDE of its sizes; {'; '.join(problems)}")
