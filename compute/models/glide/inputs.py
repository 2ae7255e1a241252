"""The arguments of the calls of GLIDE's pipelines: their checks, and pictures given as tensors or images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Generator, Tensor
from torch.nn import functional as F

from store.errors import SkipscopeError

Seeds = int | Sequence[int]
Generators = Generator | list[Generator]
OutputType = Literal["pil", "np", "pt"]
OUTPUT_TYPES = ("pil", "np", "pt")
Picture = Float[Tensor, "B 3 H W"] | Image.Image | list[Image.Image] | list[Float[Tensor, "3 H W"]]
"""Pictures in [-1, 1] as a tensor, or images; one for all prompts, or one each."""
_MASK_LIMIT = 0.5
_RANGE_TOLERANCE = 1e-3


class PipelineInputError(SkipscopeError):
    """An argument of a pipeline's call that is not accepted; the message names it and says what is."""


def checked_prompts(prompt: Any) -> list[str]:
    """Return the prompts of a call. Raises PipelineInputError."""
    prompts = [prompt] if isinstance(prompt, str) else prompt
    if not isinstance(prompts, list) or not prompts or not all(isinstance(text, str) for text in prompts):
        raise PipelineInputError("prompt: a text or a list of texts is accepted")
    return prompts


def check_numbers(steps: int | None, most: int, guidance: float, output_type: str) -> None:
    """Raise PipelineInputError for a number of steps, a guidance scale or an output type that is not accepted."""
    if steps is not None and (not isinstance(steps, int) or not 1 <= steps <= most):
        raise PipelineInputError(f"num_inference_steps: {steps!r} is not accepted; 1 to {most} are")
    if not isinstance(guidance, int | float) or not math.isfinite(guidance) or guidance < 0:
        raise PipelineInputError(f"guidance_scale: {guidance!r} is not accepted; a number from 0 on is")
    if output_type not in OUTPUT_TYPES:
        raise PipelineInputError(f"output_type: {output_type!r} is not accepted; {', '.join(OUTPUT_TYPES)} are")


def checked_seeds(seed: Seeds | None, generator: Generators | None, batch: int) -> list[int] | None:
    """Return a seed for each prompt, or None where the noise does not depend on seeds. Raises PipelineInputError."""
    if seed is None:
        if isinstance(generator, list) and len(generator) != batch:
            raise PipelineInputError(f"generator: {len(generator)} for {batch} prompts; give one, or one each")
        return None
    if generator is not None:
        raise PipelineInputError("seed, generator: give one of the two")
    seeds = [seed] * batch if isinstance(seed, int) else list(seed)
    if len(seeds) != batch or not all(isinstance(value, int) and 0 <= value < 2**63 for value in seeds):
        raise PipelineInputError(f"seed: give a whole number from 0 on, or one for each of the {batch} prompts")
    return seeds


def pictures(name: str, value: Any, batch: int, side: int | None = None) -> Float[Tensor, "B 3 H W"]:
    """Return the picture of each prompt in [-1, 1], as float32. Raises PipelineInputError.

    Images are resized to `side` pixels where it is given; tensors must have that size already.
    """
    if isinstance(value, list | tuple):
        parts = [pictures(name, part, 1, side) for part in value]
        if len({part.shape for part in parts}) != 1:
            raise PipelineInputError(f"{name}: a list of pictures of one size is accepted")
        tensor = torch.cat(parts)
    elif isinstance(value, Image.Image):
        image = value.convert("RGB")
        if side is not None and image.size != (side, side):
            image = image.resize((side, side), Image.Resampling.BICUBIC)
        tensor = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    else:
        tensor = _picture_tensor(name, value, channels=3)
    if bool((tensor.abs() > 1 + _RANGE_TOLERANCE).any()) or not bool(tensor.isfinite().all()):
        raise PipelineInputError(f"{name}: values from -1 to 1 are accepted")
    return _for_batch(name, tensor, batch, side)


def masks(name: str, value: Any, batch: int, side: int) -> Float[Tensor, "B 1 H W"]:
    """Return 1 where a mask is white (above one half) and 0 elsewhere, for each prompt. Raises PipelineInputError."""
    if isinstance(value, list | tuple):
        return torch.cat([masks(name, part, 1, side) for part in value])
    if isinstance(value, Image.Image):
        tensor = torch.from_numpy(np.asarray(value.convert("L")).copy())[None, None].float() / 255
    else:
        tensor = _picture_tensor(name, value, channels=1)
    tensor = F.interpolate(tensor, (side, side), mode="nearest")
    return _for_batch(name, (tensor > _MASK_LIMIT).float(), batch, side)


def _picture_tensor(name: str, value: Any, channels: int) -> Float[Tensor, "B C H W"]:
    axes = f"(B, {channels}, height, width)"
    if not isinstance(value, Tensor) or value.ndim not in (3, 4) or value.shape[-3] != channels:
        raise PipelineInputError(f"{name}: an image, a tensor of shape {axes}, or a list of them is accepted")
    return (value if value.ndim == 4 else value[None]).float()


def _for_batch(name: str, tensor: Tensor, batch: int, side: int | None) -> Tensor:
    if side is not None and tensor.shape[2:] != (side, side):
        height, width = tensor.shape[2:]
        raise PipelineInputError(f"{name}: {height}x{width} pixels; this model's pictures have {side}x{side}")
    if len(tensor) not in (1, batch):
        raise PipelineInputError(f"{name}: {len(tensor)} for {batch} prompts; give one, or one each")
    return tensor.expand(batch, -1, -1, -1)
