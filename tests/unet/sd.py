"""A small UNet of Stable Diffusion's layout with random weights."""

from __future__ import annotations

from typing import Any

from tests.unet.narrow import randomise

import diffusers  # isort: skip

LAYOUT: dict[str, Any] = {
    "sample_size": 8,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "block_out_channels": (16, 32),
    "layers_per_block": 2,
    "norm_num_groups": 8,
    "cross_attention_dim": 32,
    "attention_head_dim": 4,
}


def make_sd_unet(**changes: Any) -> Any:
    """Return a UNet with random weights, in evaluation mode."""
    unet_class: Any = diffusers.UNet2DConditionModel
    unet = unet_class(**(LAYOUT | changes)).eval()
    randomise(unet)
    return unet
