"""What is left of a module without its residual branch."""

from __future__ import annotations

from typing import Any

import torch

from compute.unet.blocks import Layer


def shortcut(layer: Layer, hidden_states: torch.Tensor) -> torch.Tensor:
    """The path around a layer's residual branch: (B, C, H, W) -> the shape that the layer puts out.

    An attention with added keys and values adds its input back unchanged. A `ResnetBlock2D` resamples the input,
    projects it where the channels change, and divides by `output_scale_factor`.
    """
    if layer.kind == "attention":
        return hidden_states
    module: Any = layer.module
    if module.upsample is not None:
        hidden_states = module.upsample(hidden_states)
    elif module.downsample is not None:
        hidden_states = module.downsample(hidden_states)
    if module.conv_shortcut is not None:
        hidden_states = module.conv_shortcut(hidden_states)
    return hidden_states if module.output_scale_factor == 1 else hidden_states / module.output_scale_factor
