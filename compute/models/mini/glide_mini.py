"""The architecture of glide-mini: its vocabulary, the sizes of its parts, and an untrained pipeline."""

from __future__ import annotations

from diffusers import UNet2DConditionModel

from compute.models.glide.pipeline import GlidePipeline
from compute.models.glide.text_transformer import TextTransformer
from compute.models.glide.unet import UNetSizes, build_scheduler
from compute.models.glide.unet import build_unet as build_glide_unet
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


def vocabulary() -> list[str]:
    """Return the words of all captions, each once, in a fixed order."""
    grammar = ["a", "an", "on", "background", *" ".join(RELATIONS).split()]
    return list(dict.fromkeys([*grammar, *OBJECTS, *BACKGROUNDS]))


def build_unet(channels: tuple[int, int, int] = CHANNELS, layers: int = LAYERS) -> UNet2DConditionModel:
    """Return GLIDE's base UNet at a small size, untrained: three levels, attention at the lower two, learned sigma."""
    return build_glide_unet(
        UNetSizes(
            side=PICTURE_SIDE,
            channels=channels,
            attention=(False, True, True),
            layers=layers,
            text_width=TEXT_WIDTH,
            time_width=TIME_WIDTH,
            head_channels=HEAD_CHANNELS,
            norm_groups=NORM_GROUPS,
        )
    )


def build_pipeline() -> GlidePipeline:
    """Return a glide-mini with random weights."""
    unet = build_unet()
    text = TextTransformer(vocabulary=vocabulary(), length=TEXT_LENGTH, width=TEXT_WIDTH, pooled=TIME_WIDTH)
    return GlidePipeline(text, unet, build_scheduler())
