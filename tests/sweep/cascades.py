"""A cascade of two tiny pipelines of Stable Diffusion's family, a base and a refiner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from tests.pipeline.tiny_pipelines import PIPELINES

BASE_RUN = {"sampler": {"name": "DDIMScheduler", "steps": 3}, "guidance": 2.0, "call": {"height": 16, "width": 16}}
"""How the base runs where the refiner is swept."""


def make_cascade(folder: Path) -> Path:
    """Write a cascade of a base and a refiner, whose weights differ, and return its folder."""
    PIPELINES["text to image"]().save_pretrained(folder / "base")
    refiner = PIPELINES["image to image"]()
    with torch.no_grad():
        refiner.unet.conv_out.bias += 0.1
    refiner.save_pretrained(folder / "refine")
    write_cascade(folder, BASE_RUN)
    return folder


def write_cascade(folder: Path, base_run: dict[str, Any], pipelines: Path | None = None) -> None:
    """Write cascade.json to the folder of the two pipelines, or to one with links to those in `pipelines`."""
    if pipelines is not None:
        for name in ("base", "refine"):
            (folder / name).symlink_to(pipelines / name)
    stages = [{"name": "base", "folder": "base", **base_run}, {"name": "refiner", "folder": "refine"}]
    (folder / "cascade.json").write_text(json.dumps({"format": "skipscope-cascade", "version": 1, "stages": stages}))
