"""The output shape and the FLOPs of every module, from one forward pass on the meta device.

On the meta device tensors have a shape but no values, so the pass takes neither memory nor arithmetic.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from compute.unet.blocks import UnsupportedUNet

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The output shapes and the FLOPs of a forward pass, by module path.

    A module that returns several tensors has the shape of the first one.
    """

    shapes: dict[str, Shape]
    flops: dict[str, int]
    total_flops: int


def trace(unet: Any, shape: Shape, sequence_length: int) -> Trace:
    """Trace a UNet on a sample of `shape` (B, C, H, W) and a text of `sequence_length` tokens.

    The pass runs on a copy of the UNet that is built from its configuration on the meta device, so neither are weights
    copied nor hooks of other code called. Raises UnsupportedUNet for a class embedding that is not supported.
    """
    with torch.device("meta"):
        meta_copy = type(unet).from_config(unet.config).eval()
    shapes: dict[str, Shape] = {}
    for path, module in meta_copy.named_modules():
        module.register_forward_hook(_shape_recorder(path, shapes))
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter, torch.device("meta"):
        meta_copy(
            torch.empty(shape),
            torch.zeros(()),
            encoder_hidden_states=torch.empty(shape[0], sequence_length, _text_width(unet)),
            class_labels=_class_labels(unet, shape[0]),
        )
    prefix = type(unet).__name__ + "."
    flops = {path.removeprefix(prefix): sum(ops.values()) for path, ops in counter.get_flop_counts().items()}
    return Trace(shapes=shapes, flops=flops, total_flops=counter.get_total_flops())


def _shape_recorder(path: str, shapes: dict[str, Shape]) -> Any:
    def record(module: nn.Module, inputs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, (tuple, list)) else output
        if isinstance(first, Tensor):
            shapes[path] = tuple(first.shape)

    return record


def _text_width(unet: Any) -> int:
    """Return the width of the text sequence that the UNet's cross-attention reads."""
    width = unet.config.encoder_hid_dim or unet.config.cross_attention_dim
    return int(width if isinstance(width, int) else width[0])


def _class_labels(unet: Any, batch: int) -> Float[Tensor, "{batch} E"] | None:
    kind = unet.config.class_embed_type
    if kind not in (None, "identity") or unet.config.num_class_embeds is not None:
        raise UnsupportedUNet(f"class_embed_type is {kind!r}; 'identity' and None are supported")
    return torch.empty(batch, unet.time_embedding.linear_2.out_features) if kind else None


_shapes_by_unet: weakref.WeakKeyDictionary[nn.Module, dict[Shape, dict[str, Shape]]] = weakref.WeakKeyDictionary()


def output_shapes(unet: nn.Module, shape: Shape) -> dict[str, Shape]:
    """Return every module's output shape for samples of a `shape` (B, C, H, W), by module path.

    A UNet is traced once for each shape.
    """
    by_shape = _shapes_by_unet.setdefault(unet, {})
    if shape not in by_shape:
        by_shape[shape] = trace(unet, shape, sequence_length=1).shapes
    return by_shape[shape]
