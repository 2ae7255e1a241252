"""The shortcut of a module: the path around its residual branch."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor

from compute.unet.blocks import Layer


def shortcut(layer: Layer, hidden_states: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
    """Return what a layer outputs without its residual branch; the shape is that of the layer's output.

    An attention with added keys and values adds its input unchanged. A `ResnetBlock2D` resamples the input, projects
    it where the number of channels changes, and divides it by `output_scale_factor`.
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
