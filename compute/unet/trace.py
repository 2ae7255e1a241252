"""One forward pass on the meta device: every module's output shape and FLOPs, without memory and without arithmetic."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from compute.unet.blocks import UnsupportedUNet

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Trace:
    """By module path: the shape of the tensor that comes out (of a block: the first one), and the FLOPs of the pass."""

    shapes: dict[str, Shape]
    flops: dict[str, int]
    total_flops: int


def trace(unet: Any, shape: Shape, sequence_length: int) -> Trace:
    """Runs a weightless twin of the UNet on a sample of shape (B, C, H, W) and `sequence_length` text tokens.

    The twin is built from the UNet's config, so that neither weights are copied nor anybody's hooks called.
    """
    with torch.device("meta"):
        twin = type(unet).from_config(unet.config).eval()
    shapes: dict[str, Shape] = {}
    for path, module in twin.named_modules():
        module.register_forward_hook(_recorder(path, shapes))
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter, torch.device("meta"):
        twin(
            torch.empty(shape),
            torch.zeros(()),
            encoder_hidden_states=torch.empty(shape[0], sequence_length, text_width(unet)),
            class_labels=_class_labels(unet, shape[0]),
        )
    prefix = type(unet).__name__ + "."
    flops = {path.removeprefix(prefix): sum(ops.values()) for path, ops in counter.get_flop_counts().items()}
    return Trace(shapes=shapes, flops=flops, total_flops=counter.get_total_flops())


def _recorder(path: str, shapes: dict[str, Shape]) -> Any:
    def record(module: nn.Module, inputs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, (tuple, list)) else output
        if isinstance(first, torch.Tensor):
            shapes[path] = tuple(first.shape)

    return record


def text_width(unet: Any) -> int:
    """The width of the text sequence that the UNet's cross-attention reads."""
    width = unet.config.encoder_hid_dim or unet.config.cross_attention_dim
    return int(width if isinstance(width, int) else width[0])


def _class_labels(unet: Any, batch: int) -> torch.Tensor | None:
    kind = unet.config.class_embed_type
    if kind not in (None, "identity") or unet.config.num_class_embeds is not None:
        raise UnsupportedUNet(f"class_embed_type is {kind!r}; 'identity' and None are supported")
    return torch.empty(batch, unet.time_embedding.linear_2.out_features) if kind else None


_shapes_by_unet: weakref.WeakKeyDictionary[nn.Module, dict[Shape, dict[str, Shape]]] = weakref.WeakKeyDictionary()


def output_shapes(unet: nn.Module, shape: Shape) -> dict[str, Shape]:
    """Every module's output shape for samples of a shape (B, C, H, W), traced once for each UNet and shape."""
    known = _shapes_by_unet.setdefault(unet, {})
    if shape not in known:
        known[shape] = trace(unet, shape, sequence_length=1).shapes
    return known[shape]
