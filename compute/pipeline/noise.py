"""Noise as a function of (seed, step): the same in every batch, order, process and starting step."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

# Part of every hash: a change of how noise is made must change this name, and with it all noise.
_SCHEME = "skipscope-noise-1"


def initial_noise(
    seeds: Sequence[int],
    shape: tuple[int, int, int],
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Float[Tensor, "B C H W"]:
    """Standard normal `x_t` of step 0, one sample of `shape` (C, H, W) a seed.

    It is drawn on the CPU in float32 whatever `dtype` and `device` are, so that both see the same noise, rounded.
    """
    drawn = [torch.randn(shape, generator=_generator(seed, "initial")) for seed in seeds]
    return torch.stack(drawn).to(device=device, dtype=dtype)


def step_generators(seeds: Sequence[int], step: int) -> list[Generator]:
    """Fresh CPU generators of the noise that step `step` adds, one a seed, as diffusers' schedulers take them."""
    return [_generator(seed, f"step {step}") for seed in seeds]


def _generator(seed: int, tag: str) -> Generator:
    """A CPU generator seeded by 63 bits of SHA-256 of the seed and what it is for.

    PyTorch's CPU generator (Mersenne Twister) uses the lower 32 bits of its seed. Two of n streams coincide with
    probability n² / 2³³: one run in 14 for 25,000 pairs of seed and step, which then share one step's noise.
    """
    digest = hashlib.sha256(f"{_SCHEME}/{seed}/{tag}".encode("ascii")).digest()
    return Generator("cpu").manual_seed(int.from_bytes(digest[:8], "big") >> 1)
