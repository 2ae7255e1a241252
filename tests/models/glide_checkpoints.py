"""Small checkpoints in the layout of OpenAI's GLIDE, with random weights, and a small vocabulary."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from compute.models.glide.convert.layout import GlideSizes, TextSizes, entries
from compute.models.glide.unet import UNetSizes

MERGES = "#version: 0.2\nĠ a\na t\nĠ c\nĠc at\no n\n"
TOKENS = 256 + 5 + 1
CONTEXT = 6
OPTIONS = {3: "--base", 6: "--upsample", 7: "--inpaint", 10: "--upsample-inpaint"}
"""The command's option for each number of input channels."""


def sizes(in_channels: int = 3, *, levels: int | None = None, tokens: int = TOKENS, last: int = 64) -> GlideSizes:
    """Return the sizes of a network with 32 channels at each level but the last, which has attention."""
    count = levels or (3 if in_channels in (6, 10) else 2)
    unet = UNetSizes(
        side=2 ** (count + 2),
        channels=(32,) * (count - 1) + (last,),
        attention=(False,) * (count - 1) + (True,),
        layers=1,
        text_width=64,
        time_width=128,
        in_channels=in_channels,
    )
    text = TextSizes(vocabulary=tokens, length=CONTEXT, width=64, layers=1, heads=1, pooled=128)
    return GlideSizes(unet=unet, text=text)


def state(found: GlideSizes, seed: int = 0, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Return a checkpoint's parameters: random, gains near 1."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for entry in entries(found):
        is_gain = len(entry.shape) == 1 and entry.source.endswith("weight")
        tensors[entry.source] = (is_gain + 0.05 * torch.randn(entry.shape, generator=generator)).to(dtype)
    return tensors


def saved(folder: Path, in_channels: int = 3, dtype: torch.dtype = torch.float32, **options: int) -> Path:
    """Write a checkpoint and return its path."""
    path = folder / f"{in_channels}.pt"
    torch.save(state(sizes(in_channels, **options), in_channels, dtype), path)
    return path


def merges_file(folder: Path) -> Path:
    """Write the merges of the small vocabulary and return their path."""
    path = folder / "vocab.bpe"
    path.write_text(MERGES, encoding="utf-8")
    return path
