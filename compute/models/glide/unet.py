"""GLIDE's UNet and scheduler as diffusers'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from diffusers import DDPMScheduler, UNet2DConditionModel

TRAINING_TIMESTEPS = 1000
_BLOCKS = {
    True: ("SimpleCrossAttnDownBlock2D", "SimpleCrossAttnUpBlock2D"),
    False: ("ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D"),
}
"""The types of down and up blocks with and without attention."""


@dataclass(frozen=True, kw_only=True)
class UNetSizes:
    """What distinguishes one UNet of GLIDE's architecture from another."""

    side: int
    """Height and width of the pictures that it samples."""
    channels: tuple[int, ...]
    """Of each level, the full resolution first."""
    attention: tuple[bool, ...]
    """Whether a level has attention."""
    layers: int
    """Residual blocks of a down block; an up block has one more."""
    text_width: int
    time_width: int
    head_channels: int = 64
    norm_groups: int = 32
    in_channels: int = 3


def build_unet(sizes: UNetSizes) -> UNet2DConditionModel:
    """Return an untrained UNet of GLIDE's architecture; its second half of output channels is the learned sigma."""
    levels: Sequence[tuple[str, str]] = [_BLOCKS[has_attention] for has_attention in sizes.attention]
    return UNet2DConditionModel(
        sample_size=sizes.side,
        in_channels=sizes.in_channels,
        out_channels=6,
        down_block_types=tuple(down for down, _ in levels),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=tuple(up for _, up in reversed(levels)),
        block_out_channels=sizes.channels,
        layers_per_block=sizes.layers,
        norm_num_groups=sizes.norm_groups,
        norm_eps=1e-5,
        attention_head_dim=sizes.head_channels,
        cross_attention_dim=sizes.text_width,
        only_cross_attention=False,
        resnet_time_scale_shift="scale_shift",
        class_embed_type="identity",
        time_embedding_dim=sizes.time_width,
        flip_sin_to_cos=True,
        freq_shift=0,
    )


def build_scheduler(
    betas: Literal["squaredcos_cap_v2", "linear"] = "squaredcos_cap_v2",
    prediction: Literal["epsilon", "v_prediction"] = "epsilon",
    variance: Literal["learned_range", "fixed_small"] = "learned_range",
) -> DDPMScheduler:
    """Return GLIDE's scheduler: DDPM with a learned range of sigma. The upsampler has linear betas."""
    return DDPMScheduler(
        num_train_timesteps=TRAINING_TIMESTEPS,
        beta_schedule=betas,
        variance_type=variance,
        timestep_spacing="linspace",
        prediction_type=prediction,
        clip_sample=True,
    )
