"""Fixtures of several packages' tests. Torch is imported only by tests that use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from jaxtyping import install_import_hook

import tests.runtime_types  # noqa: F401  (the hook refers to it by name)

# Types and shapes are checked at run time in these packages and modules; the hook must be installed before they are
# imported. Left out are those whose tests pass wrong types on purpose, those with protocols that cannot be checked at
# run time, and the dispatch of module calls, which is the hot path.
CHECKED_PACKAGES = (
    "compute.analysis",
    "compute.images",
    "compute.metrics.distance",
    "compute.metrics.perceptual",
    "compute.metrics.pixel",
    "compute.metrics.population",
    "compute.metrics.semantic",
    "compute.models.glide.text_transformer",
    "compute.models.mini.fidelity",
    "compute.models.mini.judge",
    "compute.models.mini.training",
    "compute.models.model",
    "compute.pipeline.noise",
    "compute.pipeline.output_reuse",
    "compute.pipeline.schedulers",
    "compute.recommend.bench.quality",
    "compute.recommend.bench.results",
    "compute.recommend.closed_loop",
    "compute.recommend.timed_run",
    "compute.recommend.validation_picture",
    "compute.statistics",
    "compute.sweep.measure",
    "compute.sweep.worker",
    "compute.unet.cache",
    "compute.unet.shortcut",
    "compute.unet.trace",
    "store.metric",
    "store.shard.elements",
    "store.shard.encoding",
    "store.shard.reader",
)
install_import_hook(CHECKED_PACKAGES, "tests.runtime_types.check_types")

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel


@pytest.fixture(scope="session")
def tiny_unet() -> UNet2DConditionModel:
    """A UNet of GLIDE's layout for 16x16 pictures: text of width 32, pooled text of width 128, 3 + 3 output channels.

    Its parameters are random: diffusers initialises some layers with zeros, which would hide faults.
    """
    import torch

    import compute.torchvision_ops  # noqa: F401  (diffusers' UNet imports torchvision)
    from diffusers import UNet2DConditionModel  # isort: skip

    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=3,
        out_channels=6,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        block_out_channels=(32, 32, 64),
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=16,
        cross_attention_dim=32,
        class_embed_type="identity",
        resnet_time_scale_shift="scale_shift",
        flip_sin_to_cos=True,
        freq_shift=0,
        only_cross_attention=False,
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            parameter.copy_(centre + 0.05 * torch.randn(parameter.shape, generator=generator))
    return unet.eval()
