"""The architecture of glide-mini: its vocabulary, the sizes of its parts, and an untrained pipeline."""

from __future__ import annotations

from diffusers import DDPMScheduler, UNet2DConditionModel

from compute.models.glide.pipeline import GlidePipeline
from compute.models.glide.text_transformer import TextTransformer
from compute.models.mini.scenes.scene import BACKGROUNDS, OBJECTS, RELATIONS

TEXT_LENGTH = 16
TEXT_WIDTH = 128
CHANNELS = (32, 64, 128)
LAYERS = 2
HEAD_CHANNELS = 32
TIME_WIDTH = 256
# GLIDE has 32 groups of at least 6 channels. With 32 groups here each would have one channel, and every norm would
# remove the mean of its channel, and with it the picture's colours.
NORM_GROUPS = 8
PICTURE_SIDE = 32
TRAINING_TIMESTEPS = 1000


def vocabulary() -> list[str]:
    """Return the words of all captions, each once, in a fixed order."""
    grammar = ["a", "an", "on", "background", *" ".join(RELATIONS).split()]
    return list(dict.fromkeys([*grammar, *OBJECTS, *BACKGROUNDS]))


def build_unet(channels: tuple[int, int, int] = CHANNELS, layers: int = LAYERS) -> UNet2DConditionModel:
    """Return GLIDE's base UNet at a small size, untrained: three levels, attention at the lower two, learned sigma."""
    return UNet2DConditionModel(
        sample_size=PICTURE_SIDE,
        in_channels=3,
        out_channels=6,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        block_out_channels=channels,
        layers_per_block=layers,
        norm_num_groups=NORM_GROUPS,
        norm_eps=1e-5,
        attention_head_dim=HEAD_CHANNELS,
        cross_attention_dim=TEXT_WIDTH,
        only_cross_attention=False,
        resnet_time_scale_shift="scale_shift",
        class_embed_type="identity",
        time_embedding_dim=TIME_WIDTH,
        flip_sin_to_cos=True,
        freq_shift=0,
    )


def build_scheduler() -> DDPMScheduler:
    """Return GLIDE's scheduler: DDPM with squared-cosine betas and a learned range of sigma."""
    return DDPMScheduler(
        num_train_timesteps=TRAINING_TIMESTEPS,
        beta_schedule="squaredcos_cap_v2",
        variance_type="learned_range",
        timestep_spacing="linspace",
        clip_sample=True,
    )


def build_pipeline() -> GlidePipeline:
    """Return a glide-mini with random weights."""
    unet = build_unet()
    text = TextTransformer(vocabulary=vocabulary(), length=TEXT_LENGTH, width=TEXT_WIDTH, pooled=TIME_WIDTH)
    return GlidePipeline(text, unet, build_scheduler())
