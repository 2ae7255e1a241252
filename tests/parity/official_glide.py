"""OpenAI's package as the reference: narrow networks of its classes with random weights, and ours converted from them.

Tests that use it are skipped where the package is not installed (requirements-glide.txt).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from compute.models.glide.convert.commands import convert_glide
from compute.models.glide.stage import GlideStage
from compute.models.loading import load_model

creation = pytest.importorskip(
    "glide_text2im.model_creation", reason="OpenAI's package is not installed: requirements-glide.txt"
)
PROMPTS = ["an oil painting of a corgi", "", "It's THE Panda's 3rd pizza, on a blue-green table  "]
LEVELS = {"base": (1, 4), "upsample": (1, 1, 4)}
OPTIONS = {"base": "--base", "upsample": "--upsample", "inpaint": "--inpaint", "upsample-inpaint": "--upsample-inpaint"}


def network(kind: str, spread: float) -> Any:
    """Return a narrow network of the package: its own defaults but for its widths, and random weights."""
    upsamples = kind.startswith("upsample")
    defaults = (
        creation.model_and_diffusion_defaults_upsampler() if upsamples else creation.model_and_diffusion_defaults()
    )
    options = {
        key: value
        for key, value in defaults.items()
        if key not in ("diffusion_steps", "noise_schedule", "timestep_respacing")
    }
    levels = LEVELS["upsample" if upsamples else "base"]
    side = 2 ** (len(levels) + 2)
    options |= {
        "image_size": side,
        "channel_mult": ",".join(map(str, levels)),
        "attention_resolutions": str(side // 4 if upsamples else side // 2),
        "num_channels": 32,
        "num_res_blocks": 1,
        "text_ctx": 12,
        "xf_width": 128,
        "xf_layers": 1,
        "xf_heads": 2,
        "use_fp16": False,
        "inpaint": kind.endswith("inpaint"),
    }
    model = creation.create_model(**options).eval()
    generator = torch.Generator().manual_seed(len(kind))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_gain = any(part in name for part in ("ln", "norm", "layers.0", "out.0")) and name.endswith("weight")
            parameter.copy_(float(is_gain) + spread * torch.randn(parameter.shape, generator=generator))
    return model


def diffusion(kind: str, respacing: str) -> Any:
    """Return the package's diffusion process of a stage."""
    schedule = "linear" if kind.startswith("upsample") else "squaredcos_cap_v2"
    return creation.create_gaussian_diffusion(steps=1000, noise_schedule=schedule, timestep_respacing=respacing)


@dataclass(frozen=True, kw_only=True)
class Stages:
    """A network of the package and the pipeline that was converted from its checkpoint."""

    official: Any
    pipe: GlideStage

    def text(self, prompts: list[str]) -> dict[str, Tensor]:
        """Return the package's tokens and mask of prompts."""
        tokenizer, length = self.official.tokenizer, self.official.text_ctx
        rows = [tokenizer.padded_tokens_and_mask(tokenizer.encode(prompt), length) for prompt in prompts]
        return {
            "tokens": torch.tensor([tokens for tokens, _ in rows]),
            "mask": torch.tensor([mask for _, mask in rows], dtype=torch.bool),
        }


@cache
def converted(kind: str, folder: Path, spread: float = 0.06) -> Stages:
    """Return a stage, converted in a folder through a checkpoint file; `spread` is that of its weights."""
    official = network(kind, spread)
    file = folder / f"{kind}-{spread}.pt"
    torch.save(official.state_dict(), file)
    (made,) = convert_glide({OPTIONS[kind]: str(file)}, file.with_suffix(""))
    pipe = load_model(str(made)).pipe
    return Stages(official=official, pipe=pipe)
