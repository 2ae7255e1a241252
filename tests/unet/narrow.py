"""The UNets of published configurations with few channels and random weights, and the arguments of their calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

import compute.torchvision_ops  # noqa: F401  (diffusers imports torchvision)
from compute.unet.default_inputs import default_inputs

import diffusers  # isort: skip
from diffusers.pipelines.audioldm2 import AudioLDM2UNet2DConditionModel  # isort: skip

CONFIGS = Path(__file__).parent / "configs"
NEED_OTHER_CODE = {
    "cfattn-sci": "its blocks are SciSelfAttnDownBlock2D",
    "hotshot-xl": "diffusers' UNet3DConditionModel cannot be built with a list of heads",
    "multiview": "its blocks are of its own repository",
    "mustango": "its blocks are CrossAttnDownBlock2DMusic",
}
"""Configurations of classes that diffusers lacks, so that nobody can call them without their repository's code."""
VIDEO = ("animatediff-3d", "animatediff-motion-test", "svd-xt", "text-to-video-ms-17b")
NAMES = tuple(sorted(path.stem for path in CONFIGS.glob("*.json") if path.stem not in NEED_OTHER_CODE))
PICTURES = tuple(name for name in NAMES if name not in VIDEO)
TOKENS = 6
_SMALL = 64
_CLASSES: dict[str, Any] = {
    "AudioLDM2UNet2DConditionModel": AudioLDM2UNet2DConditionModel,
    "InteractDiffusionUNet2DConditionModel": diffusers.UNet2DConditionModel,
}


def narrow_unet(name: str, **changes: Any) -> Any:
    """Return the UNet of a configuration, made narrow, with random weights and in evaluation mode."""
    class_name, fields = _config(name)
    unet_class = _CLASSES.get(class_name) or getattr(diffusers, class_name)
    unet = unet_class.from_config(_narrowed(fields) | changes).eval()
    randomise(unet)
    return unet


def layout(name: str) -> str:
    """Return what tells the layouts of narrow UNets apart: their configuration but for numbers of outer channels."""
    class_name, fields = _config(name)
    other = {"sample_size", "in_channels", "out_channels", "upcast_attention"}
    used = {key: value for key, value in _narrowed(fields).items() if key not in other and value not in (None, False)}
    return json.dumps([class_name, used], sort_keys=True)


def _config(name: str) -> tuple[str, dict[str, Any]]:
    config = json.loads((CONFIGS / f"{name}.json").read_text())
    return config["_class_name"], {key: value for key, value in config.items() if not key.startswith("_")}


def randomise(module: torch.nn.Module) -> None:
    """Give a module small random parameters: diffusers initialises some with zeros, which hides faults."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            parameter.copy_(centre + 0.1 * torch.randn(parameter.shape, generator=generator))


def _narrowed(config: dict[str, Any]) -> dict[str, Any]:
    narrow = dict(config)
    channels = config.get("block_out_channels", [224, 448, 672, 896])
    if max(channels) > _SMALL:
        ranks = {width: rank for rank, width in enumerate(sorted(set(channels)), 1)}
        unit = 32 if "num_frames" in config else 16  # those UNets' normalisations have 32 groups
        narrow["block_out_channels"] = [unit * min(ranks[width], 2) for width in channels]
        narrow |= {key: _all(config[key], 8) for key in ("attention_head_dim",) if config.get(key)}
        narrow |= {key: _all(config[key], 4) for key in ("num_attention_heads",) if config.get(key)}
        if config.get("norm_num_groups", 32):
            narrow["norm_num_groups"] = 8
    for key, width in {"cross_attention_dim": 32, "encoder_hid_dim": 24, "time_cond_proj_dim": 16}.items():
        if key in config and isinstance(config[key], int):
            narrow[key] = min(config[key], width)
    if config.get("addition_time_embed_dim"):
        times = config["projection_class_embeddings_input_dim"] // config["addition_time_embed_dim"]
        rest = 0 if "num_frames" in config else 20
        narrow |= {"addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 8 * min(times, 6) + rest}
    elif config.get("projection_class_embeddings_input_dim"):
        narrow["projection_class_embeddings_input_dim"] = min(32, config["projection_class_embeddings_input_dim"])
    layers = config.get("transformer_layers_per_block")
    if isinstance(layers, list):
        narrow["transformer_layers_per_block"] = [min(count, 3) for count in layers]
    size = config.get("sample_size")
    levels = len(channels)
    narrow["sample_size"] = [2**levels, 2] if isinstance(size, list) else 2**levels
    return narrow


def _all(value: Any, number: int) -> Any:
    return [number] * len(value) if isinstance(value, list) else number


def call_inputs(unet: Any, step: int = 0, batch: int = 1, tokens: int = TOKENS) -> dict[str, Any]:
    """Return the arguments of a call at a step; they differ between steps."""
    generator = torch.Generator().manual_seed(step)

    def filled(tensor: Tensor) -> Tensor:
        if tensor.ndim == 0:
            return torch.tensor(900 - 9 * step)
        shape = (batch * tensor.shape[0], *tensor.shape[1:])
        if not tensor.is_floating_point():
            return torch.randint(0, 3, shape, generator=generator)
        return torch.randn(shape, generator=generator)

    filled_inputs: dict[str, Any] = tree_map_only(Tensor, filled, default_inputs(unet, None, tokens))
    return filled_inputs


def predict(unet: Any, inputs: dict[str, Any]) -> Tensor:
    """Return the UNet's output."""
    with torch.no_grad():
        output: Tensor = unet(**inputs, return_dict=False)[0]
    return output
