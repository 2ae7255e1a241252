"""Noise that depends on seed and step alone: the same in every batch, order, process and run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

# Part of every hash. A change in how noise is generated must change this name, and with it all noise.
_SCHEME = "skipscope-noise-1"


def initial_noise(
    seeds: Sequence[int],
    shape: tuple[int, ...],
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Float[Tensor, "B *shape"]:
    """Return standard normal `x_t` of step 0: a sample of `shape`, such as (C, H, W), for each seed.

    The noise is generated on the CPU in float32 and then converted, so it is the same for every `dtype`, but for
    rounding, and for every `device`.
    """
    samples = [torch.randn(shape, generator=generator) for generator in initial_generators(seeds)]
    return torch.stack(samples).to(device=device, dtype=dtype)


def initial_generators(seeds: Sequence[int]) -> list[Generator]:
    """Return new CPU generators of the noise that a run begins with, one for each seed, as diffusers expects them."""
    return [_generator(seed, "initial") for seed in seeds]


def step_generators(seeds: Sequence[int], step: int) -> list[Generator]:
    """Return new CPU generators of the noise that a step adds, one for each seed, as diffusers expects them."""
    return [_generator(seed, f"step {step}") for seed in seeds]


def _generator(seed: int, purpose: str) -> Generator:
    """Return a CPU generator that is seeded by 63 bits of the SHA-256 of a seed and a purpose.

    PyTorch's CPU generator (Mersenne Twister) uses the lower 32 bits of its seed. Two of n generators coincide with
    probability n² / 2³³: for 25,000 pairs of seed and step one run in 14 has two with the same noise at one step.
    """
    digest = hashlib.sha256(f"{_SCHEME}/{seed}/{purpose}".encode("ascii")).digest()
    return Generator("cpu").manual_seed(int.from_bytes(digest[:8], "big") >> 1)
