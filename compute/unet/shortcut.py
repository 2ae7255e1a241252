"""The shortcut of a component: the path around its residual branch.

Only modules that are known to add a residual have one; the outputs of all others can be reused, but not bypassed.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from compute.unet.blocks import TRANSFORMER_BLOCKS, ComponentModule, is_instance

_RESNETS = ("ResnetBlock2D", "ResnetBlockCondNorm2D")
_TRANSFORMERS = (
    "TransformerTemporalModel",
    "TransformerSpatioTemporalModel",
    "AnimateDiffTransformer3D",
    "TemporalConvLayer",
    "KAttentionBlock",
)
"""Classes that add their input, unchanged, to what they compute."""


def has_shortcut(component: ComponentModule) -> bool:
    """Return whether a component adds a residual branch to a shortcut around it, so that the branch can be dropped."""
    module: Any = component.module
    if component.block is not None:
        always = component.path.rsplit(".", 1)[-1] != "ff" or getattr(component.block, "is_res", True)
        return always and _forward_owner(component.block) in TRANSFORMER_BLOCKS
    owner = _forward_owner(module)
    if owner == "Transformer2DModel":
        return bool(module.is_input_continuous)
    if owner == "Attention":
        return _attention_adds_input(module)
    return owner in (*_RESNETS, *_TRANSFORMERS, "SpatioTemporalResBlock")


def _forward_owner(module: nn.Module) -> str:
    """Return the class that a module's forward is from: one of the user's own with another forward is not known."""
    return next(base.__name__ for base in type(module).__mro__ if "forward" in base.__dict__)


def _attention_adds_input(attention: Any) -> bool:
    """Return whether an attention's processor adds the input; what a processor of the user's own does is not known."""
    if not type(attention.processor).__module__.startswith("diffusers."):
        return False
    return _adds_always(attention) or bool(attention.residual_connection)


def _adds_always(attention: Any) -> bool:
    """Return whether a processor adds the input whatever the attention's settings (those with added keys do)."""
    return "AddedKV" in type(attention.processor).__name__


def shortcut(
    component: ComponentModule, hidden_states: Float[Tensor, "..."], shape: tuple[int, ...]
) -> Float[Tensor, "..."]:
    """Return what a component outputs without its residual branch.

    `shape` is that of the component's output. A transformer and an attention with added keys and values add their input
    unchanged, other attentions divide it by `rescale_output_factor`; a `ResnetBlock2D` resamples the input, projects it
    where the number of channels changes, and divides it by `output_scale_factor`. The residual of a part of a
    transformer is added outside of it, so its shortcut is zero.
    """
    module: Any = component.module
    if component.is_part:
        return hidden_states.new_zeros(()).expand(shape)
    if is_instance(module, "SpatioTemporalResBlock"):
        return _resnet_shortcut(module.spatial_res_block, hidden_states)
    if is_instance(module, *_RESNETS):
        return _resnet_shortcut(module, hidden_states)
    if is_instance(module, "Attention") and not _adds_always(module) and module.rescale_output_factor != 1:
        return hidden_states / module.rescale_output_factor
    return hidden_states


def _resnet_shortcut(resnet: Any, hidden_states: Tensor) -> Tensor:
    if resnet.upsample is not None:
        hidden_states = resnet.upsample(hidden_states)
    elif resnet.downsample is not None:
        hidden_states = resnet.downsample(hidden_states)
    if resnet.conv_shortcut is not None:
        hidden_states = resnet.conv_shortcut(hidden_states)
    return hidden_states if resnet.output_scale_factor == 1 else hidden_states / resnet.output_scale_factor
