"""A tiny GLIDE with random weights, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from compute import torchvision_ops as torchvision_ops
from compute.policy.graph import ComponentGraph
from compute.unet import read_graph
from diffusers import UNet2DConditionModel

SIZE, BATCH, TOKENS = 8, 2, 5


def tiny_unet(seed: int = 0, **changes: Any) -> UNet2DConditionModel:
    """A UNet laid out as GLIDE's; every parameter is small normal noise, so that no branch is silent."""
    config: dict[str, Any] = dict(
        sample_size=SIZE,
        in_channels=3,
        out_channels=6,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        block_out_channels=(32, 32, 64),
        layers_per_block=2,
        norm_num_groups=8,
        attention_head_dim=16,
        cross_attention_dim=32,
        resnet_time_scale_shift="scale_shift",
        class_embed_type="identity",
        only_cross_attention=False,
    )
    unet = UNet2DConditionModel(**(config | changes)).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in unet.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return unet


@pytest.fixture(scope="session")
def unet() -> UNet2DConditionModel:
    return tiny_unet()


@pytest.fixture(scope="session")
def graph(unet: UNet2DConditionModel) -> ComponentGraph:
    return read_graph(unet, sequence_length=TOKENS)


Predict = Callable[..., torch.Tensor]


def predict(unet: UNet2DConditionModel, step: int, seed: int = 0, batch: int = BATCH) -> torch.Tensor:
    """The UNet's output on the input of a step: every step and seed has its own."""
    generator = torch.Generator().manual_seed(1000 * seed + step)
    with torch.no_grad():
        output: torch.Tensor = unet(
            torch.randn(batch, 3, SIZE, SIZE, generator=generator),
            torch.tensor(900 - 40 * step),
            encoder_hidden_states=torch.randn(batch, TOKENS, 32, generator=generator),
            class_labels=torch.randn(batch, 128, generator=generator),
        ).sample
    return output
