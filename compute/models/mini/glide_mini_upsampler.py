"""The architecture of glide-mini's upsampler: its sizes, and a pipeline with an untrained UNet."""

from __future__ import annotations

from diffusers import UNet2DConditionModel

from compute.models.glide.text_transformer import TextTransformer
from compute.models.glide.unet import UNetSizes, build_scheduler
from compute.models.glide.unet import build_unet as build_glide_unet
from compute.models.glide.upsampler import GlideUpsamplerPipeline
from compute.models.mini.glide_mini import HEAD_CHANNELS, TEXT_WIDTH, TIME_WIDTH

PICTURE_SIDE = 64
CHANNELS = (16, 32, 64)
LAYERS = 1
# Every norm removes the mean of its groups of channels. Of few channels it is the picture's colour, which the UNet has
# to take over from the low resolution.
NORM_GROUPS = 1
_WITH_LOW_RESOLUTION = 6


def build_unet() -> UNet2DConditionModel:
    """Return GLIDE's upsampler at a small size, untrained: three levels, attention at the lowest, learned sigma."""
    return build_glide_unet(
        UNetSizes(
            side=PICTURE_SIDE,
            channels=CHANNELS,
            attention=(False, False, True),
            layers=LAYERS,
            text_width=TEXT_WIDTH,
            time_width=TIME_WIDTH,
            head_channels=HEAD_CHANNELS,
            norm_groups=NORM_GROUPS,
            in_channels=_WITH_LOW_RESOLUTION,
        )
    )


def build_pipeline(text: TextTransformer) -> GlideUpsamplerPipeline:
    """Return an upsampler with random weights that reads prompts with `text`, glide-mini's text transformer.

    It predicts the velocity, GLIDE's the noise: where nearly all is noise, a small error of the predicted noise is a
    large one of the picture, although the low resolution says what it looks like. It samples with the smallest sigma:
    in few steps the learned one, which is slow to learn, leaves grain.
    """
    return GlideUpsamplerPipeline(text, build_unet(), build_scheduler("linear", "v_prediction", "fixed_small"))
