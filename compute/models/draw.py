"""Pictures of conditions, and PNG files and sheets of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from compute.diffusion.noise import initial_noise
from compute.diffusion.sample import sample
from compute.diffusion.samplers import SamplerConfig, make_scheduler
from compute.models.load import Model
from store.errors import SkipscopeError
from store.records import Condition


def draw_pictures(model: Model, conditions: Sequence[Condition], sampler: SamplerConfig) -> Float[Tensor, "B 3 H W"]:
    """The final pictures of conditions at full compute, in [-1, 1]."""
    scheduler = make_scheduler(model.pipe.scheduler.config, sampler)
    seeds = [condition.seed for condition in conditions]
    guidance = torch.tensor([condition.guidance for condition in conditions])
    text = model.encode(tuple(condition.prompt for condition in conditions))
    final = initial_noise(seeds, model.picture_shape)
    for step in sample(model.pipe.unet, scheduler, text, final, seeds=seeds, guidance=guidance):
        final = step.x_next
    return final.clamp(-1, 1)


def write_png(path: Path, picture: npt.NDArray[np.float32], scale: int = 1) -> None:
    """A (3, H, W) picture in [-1, 1] as a PNG file, enlarged without smoothing. Raises SkipscopeError."""
    pixels = ((picture.transpose(1, 2, 0).clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)
    image = Image.fromarray(pixels)
    save_png(image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST), path)


def save_png(image: Image.Image, path: Path) -> None:
    """Write a PNG, with one clear line where that is impossible."""
    try:
        image.save(path, format="PNG")
    except OSError as error:
        raise SkipscopeError(f"{path}: cannot be written: {error.strerror or error}") from error
