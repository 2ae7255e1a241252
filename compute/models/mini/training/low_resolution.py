"""The upsampler's low-resolution inputs: a scene's picture at half its size, damaged as pictures of the base are.

The upsampler is given pictures that the base stage sampled, which are not as clean as rendered ones. So many of its
training inputs are blurred and noisy (Ho et al. 2021, Cascaded Diffusion Models, arXiv 2106.15282).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

FACTOR = 2
_REACH = 2  # pixels of the blur's kernel on each side of its middle


@dataclass(frozen=True, kw_only=True)
class Damage:
    """How strongly low-resolution inputs are damaged: each by a random amount up to these, and some not at all."""

    blurred: float = 0.4
    """The share of inputs that are blurred."""
    blur: float = 0.7
    """The largest standard deviation of the blur, in pixels."""
    noisy: float = 0.5
    """The share of inputs with noise."""
    noise: float = 0.12
    """The largest standard deviation of the noise, of pixels in [-1, 1]."""


def reduced(pictures: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 h w"]:
    """Return pictures at low resolution: the means of squares of FACTOR pixels a side."""
    return F.avg_pool2d(pictures, FACTOR)


def damaged(pictures: Float[Tensor, "B 3 h w"], damage: Damage, rng: np.random.Generator) -> Float[Tensor, "B 3 h w"]:
    """Return pictures of low resolution, some blurred and some noisy, within [-1, 1]."""
    count = len(pictures)
    blur = damage.blur * rng.random(count) * (rng.random(count) < damage.blurred)
    noise = damage.noise * rng.random(count) * (rng.random(count) < damage.noisy)
    grain = torch.from_numpy(rng.standard_normal(pictures.shape, dtype=np.float32))
    damaged = _blurred(pictures, torch.from_numpy(blur).float()) + grain * _column(torch.from_numpy(noise).float())
    return damaged.clamp(-1, 1)


def enlarged(pictures: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B 3 H W"]:
    """Return pictures as the upsampler's pipeline gives them to its UNet: rounded to 8 bits, enlarged bilinearly."""
    rounded = ((pictures.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1
    return F.interpolate(rounded, scale_factor=FACTOR, mode="bilinear", align_corners=False)


def _column(values: Float[Tensor, " B"]) -> Float[Tensor, "B 1 1 1"]:
    return values[:, None, None, None]


def _blurred(pictures: Float[Tensor, "B C h w"], sigma: Float[Tensor, " B"]) -> Float[Tensor, "B C h w"]:
    """Return pictures blurred by a normal distribution, each with its own standard deviation; 0 leaves one as it is."""
    offsets = torch.arange(-_REACH, _REACH + 1, dtype=torch.float32)
    weights = torch.exp(-0.5 * (offsets / sigma.clamp_min(1e-3)[:, None]).square())
    weights = (weights / weights.sum(1, keepdim=True)).repeat_interleave(pictures.shape[1], 0)  # a row for each plane
    padded = F.pad(pictures, (_REACH,) * 4, mode="replicate").flatten(0, 1)[None]  # (1, B·C, h, w)
    planes = padded.shape[1]
    across = F.conv2d(padded, weights[:, None, None, :], groups=planes)
    return F.conv2d(across, weights[:, None, :, None], groups=planes)[0].unflatten(0, pictures.shape[:2])
