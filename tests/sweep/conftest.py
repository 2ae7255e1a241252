"""A tiny model with random weights and a small sweep's configuration, as files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from compute.models.glide.pipeline import GlidePipeline, UNet2DConditionModel
from compute.models.glide.text_transformer import TextTransformer
from compute.models.mini.glide_mini import build_scheduler, vocabulary
from tests.sweep.small_config import CONFIG


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, tiny_unet: UNet2DConditionModel) -> Path:
    """A pipeline's folder: 16x16 pictures, glide-mini's words, random weights."""
    torch.manual_seed(1)
    text = TextTransformer(vocabulary=vocabulary(), width=32, layers=1, heads=2, pooled=128)
    folder = tmp_path_factory.mktemp("model") / "tiny"
    GlidePipeline(text, tiny_unet, build_scheduler()).save_pretrained(folder)
    return folder


@pytest.fixture
def config_file(tiny_model: Path, tmp_path: Path) -> Path:
    """A sweep of 2 batches: 3 conditions, 12 ablations, 4 steps."""
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"model": str(tiny_model), **CONFIG}))
    return path
