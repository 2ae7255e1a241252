"""A tiny UNet of GLIDE's layout with random weights, and its inputs at each step."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

import compute.torchvision_ops  # noqa: F401  (diffusers imports torchvision)

from diffusers import UNet2DConditionModel  # isort: skip

SIZE, BATCH, TOKENS = 8, 2, 5
DEEP = "up_blocks.1.upsamplers.0"
"""The component whose output the decoder's last block takes."""
LAYOUT: dict[str, Any] = {
    "sample_size": SIZE,
    "in_channels": 3,
    "out_channels": 6,
    "down_block_types": ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D", "SimpleCrossAttnDownBlock2D"),
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": ("SimpleCrossAttnUpBlock2D", "SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
    "block_out_channels": (32, 32, 64),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "attention_head_dim": 16,
    "cross_attention_dim": 32,
    "resnet_time_scale_shift": "scale_shift",
    "class_embed_type": "identity",
    "only_cross_attention": False,
}


def make_unet(**changes: Any) -> Any:
    """Return a UNet with random weights; diffusers initialises some with zeros, which disables residual branches."""
    unet_class: Any = UNet2DConditionModel
    unet = unet_class(**(LAYOUT | changes)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            parameter.copy_(centre + 0.1 * torch.randn(parameter.shape, generator=generator))
    return unet


def inputs(step: int, batch: int = BATCH, size: int = SIZE) -> dict[str, Any]:
    """Return the UNet's inputs at a step; they differ between steps."""
    generator = torch.Generator().manual_seed(step)
    return {
        "sample": torch.randn(batch, 3, size, size, generator=generator),
        "timestep": torch.tensor(900 - 9 * step),
        "encoder_hidden_states": torch.randn(batch, TOKENS, 32, generator=generator),
        "class_labels": torch.randn(batch, 128, generator=generator),
    }


def predict(unet: Any, step: int, batch: int = BATCH, size: int = SIZE) -> Float[Tensor, "B 6 H W"]:
    """Return the UNet's output at a step."""
    with torch.no_grad():
        output: Tensor = unet(**inputs(step, batch, size)).sample
    return output
