"""Noise depends on seed and step alone."""

from __future__ import annotations

import subprocess
import sys

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.pipeline.noise import initial_noise, step_generators

SEEDS = st.integers(0, 2**63 - 1)
SHAPE = (3, 4, 4)


def step_noise(seeds: list[int], step: int) -> torch.Tensor:
    """Return the noise of a step, (B, 3, 4, 4)."""
    return torch.stack([torch.randn(SHAPE, generator=generator) for generator in step_generators(seeds, step)])


@given(seeds=st.lists(SEEDS, min_size=1, max_size=5), order=st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_a_sample_does_not_depend_on_its_batch(seeds: list[int], order: object) -> None:
    rows = list(range(len(seeds)))
    order.shuffle(rows)  # type: ignore[attr-defined]
    shuffled = [seeds[row] for row in rows]
    assert torch.equal(initial_noise(seeds, SHAPE)[rows], initial_noise(shuffled, SHAPE))
    assert torch.equal(step_noise(seeds, 3)[rows], step_noise(shuffled, 3))
    assert torch.equal(initial_noise(seeds, SHAPE)[:1], initial_noise(seeds[:1], SHAPE))


@given(seed=SEEDS, other=SEEDS, step=st.integers(0, 999), later=st.integers(0, 999))
@settings(max_examples=100, deadline=None)
def test_different_seeds_and_steps_have_different_noise(seed: int, other: int, step: int, later: int) -> None:
    assert torch.equal(step_noise([seed], step), step_noise([other], later)) == (seed == other and step == later)
    assert torch.equal(initial_noise([seed], SHAPE), initial_noise([other], SHAPE)) == (seed == other)
    assert not torch.equal(initial_noise([seed], SHAPE), step_noise([seed], step))


def test_noise_is_standard_normal() -> None:
    noise = torch.cat([initial_noise(range(20), (3, 32, 32)), torch.stack([step_noise([0], i)[0] for i in range(20)])
                       .repeat(1, 1, 8, 8)])  # fmt: skip
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.05


def test_other_dtypes_have_the_same_noise_rounded() -> None:
    exact = initial_noise([1, 2], SHAPE)
    assert torch.equal(initial_noise([1, 2], SHAPE, dtype=torch.bfloat16), exact.bfloat16())


def test_the_global_generator_is_neither_used_nor_changed() -> None:
    before = torch.random.get_rng_state()
    first = initial_noise([7], SHAPE)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(123)
    assert torch.equal(initial_noise([7], SHAPE), first)


def test_noise_is_the_same_in_another_process() -> None:
    program = "from compute.pipeline.noise import *; print(initial_noise([9], (1, 2, 2)).flatten().tolist())"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.strip() == str(initial_noise([9], (1, 2, 2)).flatten().tolist())
