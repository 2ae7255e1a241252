"""A tiny model with random weights, and the configuration of a small sweep, as files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from compute.models.glide.pipeline import GlidePipeline
from compute.models.glide.stage import UNet2DConditionModel
from compute.models.glide.text_transformer import TextTransformer
from compute.models.mini.glide_mini import build_scheduler, vocabulary
from tests.sweep.small_config import CONFIG, write_config


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, tiny_unet: UNet2DConditionModel) -> Path:
    """A pipeline's folder: 16x16 pictures, glide-mini's vocabulary, random weights."""
    torch.manual_seed(1)
    text = TextTransformer(vocabulary=vocabulary(), width=32, layers=1, heads=2, pooled=128)
    folder = tmp_path_factory.mktemp("model") / "tiny"
    GlidePipeline(text, tiny_unet, build_scheduler()).save_pretrained(folder)
    return folder


@pytest.fixture
def config_file(tiny_model: Path, tmp_path: Path) -> Path:
    """The configuration of a small sweep."""
    return write_config(tmp_path / "config.yaml", tiny_model, **CONFIG)
