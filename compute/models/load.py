"""Loads a model by name or folder."""

from __future__ import annotations

import os

import torch

from compute.models.source import GLIDE_MINI, Model, ModelSource


def load_model(
    name: str | os.PathLike[str] = GLIDE_MINI,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Model:
    """Load a bundled model by name, or a diffusers pipeline from its folder.

    `model.pipe` is the diffusers pipeline, `model.graph` its UNet's component graph. Nothing is downloaded. Raises
    SkipscopeError for a name that is neither bundled nor a pipeline's folder, and for a folder that cannot be loaded.
    """
    return ModelSource.find(os.fspath(name)).load(device=device, dtype=dtype)
