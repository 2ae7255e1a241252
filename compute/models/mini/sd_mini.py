"""The architecture of sd-mini: Stable Diffusion's own parts, each small, as an untrained pipeline."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from compute.models.mini.sd_tokenizer import SEQUENCE_LENGTH, build_tokenizer, token_ids, word_count

PICTURE_SIDE = 64
LATENT_SHAPE = (4, 16, 16)
HEAD_CHANNELS = 32
TEXT_WIDTH = 128
# Stable Diffusion has 32 groups of at least 10 channels; so many here would leave few channels to a group, and a norm
# over few channels removes their means, and with them the picture's colours (docs/glide-mini.md).
NORM_GROUPS = 8


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The channels of autoencoder and UNet at each resolution, the highest first, and the UNet's layers at each.

    The autoencoder's are multiples of NORM_GROUPS, the UNet's of HEAD_CHANNELS.
    """

    autoencoder_channels: tuple[int, int, int] = (16, 32, 64)
    unet_channels: tuple[int, int, int] = (32, 96, 128)
    unet_layers: int = 2


def build_autoencoder(layout: Layout) -> AutoencoderKL:
    """Return the autoencoder, untrained: pictures of 64x64x3 in [-1, 1] to latents of 16x16x4."""
    return AutoencoderKL(
        sample_size=PICTURE_SIDE,
        latent_channels=LATENT_SHAPE[0],
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=layout.autoencoder_channels,
        layers_per_block=1,
        norm_num_groups=NORM_GROUPS,
        scaling_factor=1.0,
    )


def build_text_encoder() -> CLIPTextModel:
    """Return the text encoder, untrained. The embeddings of tokens that no caption has are zero and remain so."""
    ids = token_ids()
    tokenizer = build_tokenizer()
    config = CLIPTextConfig(
        vocab_size=len(ids),
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        projection_dim=TEXT_WIDTH,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=SEQUENCE_LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    encoder = CLIPTextModel(config)
    with torch.no_grad():
        embeddings = encoder.get_input_embeddings().weight
        embeddings[word_count() :] = 0
        embeddings[tokenizer.unk_token_id] = 0
    return encoder


def build_unet(layout: Layout) -> UNet2DConditionModel:
    """Return Stable Diffusion's UNet at a small size, untrained: cross-attention at 16x16, 8x8 and in the middle."""
    return UNet2DConditionModel(
        sample_size=LATENT_SHAPE[1],
        in_channels=LATENT_SHAPE[0],
        out_channels=LATENT_SHAPE[0],
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=layout.unet_channels,
        layers_per_block=layout.unet_layers,
        norm_num_groups=NORM_GROUPS,
        # Where num_attention_heads is not given, diffusers reads this as the number of heads.
        attention_head_dim=tuple(width // HEAD_CHANNELS for width in layout.unet_channels),
        cross_attention_dim=TEXT_WIDTH,
    )


def build_scheduler() -> DDIMScheduler:
    """Return DDIM on the noise schedule of Stable Diffusion 2, which predicts the velocity."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        prediction_type="v_prediction",
        steps_offset=1,
        timestep_spacing="trailing",  # the first step is then at pure noise, which `leading` leaves out
    )


def build_pipeline(layout: Layout) -> StableDiffusionPipeline:
    """Return an sd-mini with random weights."""
    return StableDiffusionPipeline(
        vae=build_autoencoder(layout),
        text_encoder=build_text_encoder(),
        tokenizer=build_tokenizer(),
        unet=build_unet(layout),
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
