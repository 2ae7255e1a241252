"""The schedulers compared with an independent float64 implementation of GLIDE's and DDIM's equations."""

from __future__ import annotations

import math
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from compute.pipeline.noise import step_generators
from compute.pipeline.schedulers import SamplerError, make_scheduler
from store.sampler import SamplerSettings

# diffusers leaves its schedulers untyped.
PlainDDPM: Any = diffusers.DDPMScheduler
PlainDDIM: Any = diffusers.DDIMScheduler

SHAPE = (2, 3, 4, 4)
SEEDS = [5, 6]
UNEVEN = [999, 980, 701, 333, 52, 10, 0]


def glide_alpha_bar() -> np.ndarray:
    """Return Nichol and Dhariwal's squared cosine over 1000 timesteps, with betas of at most 0.999."""

    def at(time: float) -> float:
        return math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [min(1 - at((t + 1) / 1000) / at(t / 1000), 0.999) for t in range(1000)]
    return np.cumprod(1 - np.array(betas))


def glide_timesteps(steps: int) -> list[int]:
    """Return GLIDE's timesteps, respaced in one section: cumulated fractional strides from 0 to 999, noisiest first."""
    position, taken = 0.0, []
    for _ in range(steps):
        taken.append(round(position))
        position += 999 / (steps - 1)
    return taken[::-1]


def outputs(steps: int) -> np.ndarray:
    """Return model outputs of every step: eps with standard deviation 1, and sigma in [-1, 1]."""
    eps = np.random.default_rng(0).normal(size=(steps, *SHAPE))
    sigma = np.random.default_rng(1).uniform(-1, 1, size=(steps, *SHAPE))
    return np.concatenate([eps, sigma], axis=2)


def noise(step: int) -> np.ndarray:
    """Return the noise of a step for SEEDS, in float64."""
    generators = step_generators(SEEDS, step)
    return torch.cat(
        [torch.randn((1, *SHAPE[1:]), generator=generator, dtype=torch.float64) for generator in generators]
    ).numpy()


def glide_ddpm(timesteps: list[int], x_t: np.ndarray) -> list[np.ndarray]:
    """Return the inputs of all steps and the final picture of a diffusion with respaced betas."""
    kept = glide_alpha_bar()[timesteps]
    states, model_outputs = [x_t], outputs(len(timesteps))
    for index in range(len(timesteps)):
        alpha_bar = kept[index]
        alpha_bar_next = kept[index + 1] if index + 1 < len(kept) else 1.0
        beta = 1 - alpha_bar / alpha_bar_next
        eps, sigma = np.split(model_outputs[index], 2, axis=1)
        x0 = np.clip(np.sqrt(1 / alpha_bar) * x_t - np.sqrt(1 / alpha_bar - 1) * eps, -1, 1)
        mean = (
            beta * np.sqrt(alpha_bar_next) / (1 - alpha_bar) * x0
            + (1 - alpha_bar_next) * np.sqrt(1 - beta) / (1 - alpha_bar) * x_t
        )
        x_t = mean
        if index + 1 < len(kept):
            log_least = np.log(beta * (1 - alpha_bar_next) / (1 - alpha_bar))
            share = (sigma + 1) / 2
            x_t = mean + np.exp(0.5 * (share * np.log(beta) + (1 - share) * log_least)) * noise(index)
        states.append(x_t)
    return states


def ddim(timesteps: list[int], x_t: np.ndarray, eta: float) -> list[np.ndarray]:
    """Return the same for DDIM's equation 12, with eps computed from the clipped picture."""
    kept = np.append(glide_alpha_bar()[timesteps], 1.0)
    states = [x_t]
    for index, output in enumerate(outputs(len(timesteps))):
        now, after = kept[index], kept[index + 1]
        x0 = np.clip((x_t - np.sqrt(1 - now) * output[:, :3]) / np.sqrt(now), -1, 1)
        eps = (x_t - np.sqrt(now) * x0) / np.sqrt(1 - now)
        sigma = eta * np.sqrt((1 - after) / (1 - now)) * np.sqrt(1 - now / after)
        x_t = np.sqrt(after) * x0 + np.sqrt(1 - after - sigma**2) * eps + sigma * noise(index)
        states.append(x_t)
    return states


def by_scheduler(scheduler: Scheduler, x_t: np.ndarray) -> list[np.ndarray]:
    """Return the same for a scheduler, in float64 and with the exact alpha_bar, so that only its logic is compared."""
    scheduler.alphas_cumprod = torch.from_numpy(glide_alpha_bar())
    state = torch.from_numpy(x_t)
    states = [state]
    model_outputs = torch.from_numpy(outputs(len(scheduler.timesteps)))
    for index, t in enumerate(scheduler.timesteps.tolist()):
        output = model_outputs[index] if isinstance(scheduler, diffusers.DDPMScheduler) else model_outputs[index, :, :3]
        generators = step_generators(SEEDS, index)
        state = scheduler.step(output, t, state, generator=generators, return_dict=False)[0]
        states.append(state)
    return [state.numpy() for state in states]


@pytest.fixture
def x_start() -> np.ndarray:
    return np.random.default_rng(2).normal(size=SHAPE)


@pytest.mark.parametrize("steps", [2, 7, 25, 100])
def test_ddpm_equals_glides(steps: int, x_start: np.ndarray) -> None:
    scheduler = make_scheduler({}, SamplerSettings(name="ddpm", steps=steps))
    assert scheduler.timesteps.tolist() == glide_timesteps(steps)
    expected = glide_ddpm(glide_timesteps(steps), x_start)
    np.testing.assert_allclose(by_scheduler(scheduler, x_start), expected, atol=1e-8)


def test_ddpm_equals_glides_at_uneven_timesteps(x_start: np.ndarray) -> None:
    scheduler = make_scheduler({}, SamplerSettings(name="ddpm", steps=7))
    scheduler.set_timesteps(timesteps=UNEVEN)  # type: ignore[attr-defined]
    np.testing.assert_allclose(by_scheduler(scheduler, x_start), glide_ddpm(UNEVEN, x_start), atol=1e-8)


@pytest.mark.parametrize("name", ["ddpm", "ddim"])
def test_the_noise_schedule_equals_glides(name: str) -> None:
    scheduler = make_scheduler({}, SamplerSettings(name=name, steps=10))  # type: ignore[arg-type]
    np.testing.assert_allclose(scheduler.alphas_cumprod, glide_alpha_bar(), rtol=1e-4, atol=1e-6)


@given(steps=st.integers(2, 300))
@settings(max_examples=60, deadline=None)
def test_ddpm_timesteps_equal_glides_up_to_the_rounding_of_halves(steps: int) -> None:
    timesteps = make_scheduler({}, SamplerSettings(name="ddpm", steps=steps)).timesteps.tolist()
    assert max(abs(a - b) for a, b in zip(timesteps, glide_timesteps(steps), strict=True)) <= 1
    assert timesteps[0] == 999
    assert timesteps[-1] == 0


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 4, 7, 12, 25])
@pytest.mark.parametrize("spacing", ["trailing", "leading"])
def test_ddim_steps_to_the_next_of_its_timesteps(steps: int, eta: float, spacing: str, x_start: np.ndarray) -> None:
    scheduler = make_scheduler({}, SamplerSettings(name="ddim", steps=steps, eta=eta, spacing=spacing))  # type: ignore[arg-type]
    timesteps = scheduler.timesteps.tolist()
    assert len(timesteps) == steps
    np.testing.assert_allclose(by_scheduler(scheduler, x_start), ddim(timesteps, x_start, eta), atol=1e-8)


@given(steps=st.integers(1, 1000))
@settings(max_examples=200, deadline=None)
def test_trailing_timesteps_start_at_pure_noise_and_are_even_up_to_rounding(steps: int) -> None:
    timesteps = make_scheduler({}, SamplerSettings(name="ddim", steps=steps)).timesteps.tolist()
    gaps = np.diff([*timesteps, -1])
    assert timesteps[0] == 999
    assert len(timesteps) == steps
    assert gaps.max() <= -1
    assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize("eta", [0.0, 0.7])
@pytest.mark.parametrize("steps", [4, 8, 25])
def test_ddim_equals_diffusers_where_the_steps_divide_the_timesteps(
    steps: int, eta: float, x_start: np.ndarray
) -> None:
    ours = make_scheduler({}, SamplerSettings(name="ddim", steps=steps, eta=eta))
    plain = PlainDDIM(beta_schedule="squaredcos_cap_v2", timestep_spacing="trailing")
    plain.set_timesteps(steps)
    assert ours.timesteps.tolist() == plain.timesteps.tolist()
    for clipped in (True, False):
        for index, t in enumerate(plain.timesteps.tolist()):
            x_t = torch.from_numpy(x_start).float()
            output = torch.from_numpy(outputs(steps)[index, :, :3]).float()
            arguments = {"eta": eta, "use_clipped_model_output": clipped}
            theirs = plain.step(output, t, x_t, generator=step_generators(SEEDS, index), **arguments)
            mine = ours.step(output, t, x_t, generator=step_generators(SEEDS, index), return_dict=True, **arguments)
            torch.testing.assert_close(mine.prev_sample, theirs.prev_sample, atol=1e-6, rtol=1e-6)
            torch.testing.assert_close(mine.pred_original_sample, theirs.pred_original_sample, atol=1e-6, rtol=1e-6)


def test_the_model_folders_schedule_is_used() -> None:
    base = PlainDDPM(beta_schedule="linear", num_train_timesteps=100, variance_type="fixed_small").config
    for config in (SamplerSettings(name="ddpm", steps=5), SamplerSettings(name="ddim", steps=5)):
        scheduler = make_scheduler(base, config)
        assert scheduler.alphas_cumprod.shape == (100,)
        assert torch.equal(scheduler.alphas_cumprod, PlainDDPM(**base).alphas_cumprod)
    assert make_scheduler(base, SamplerSettings(name="ddpm", steps=5)).config.variance_type == "fixed_small"
    assert make_scheduler({}, SamplerSettings(name="ddpm", steps=5)).config.variance_type == "learned_range"


def test_the_default_spacing_is_the_samplers_own() -> None:
    assert SamplerSettings(name="ddim", steps=9) == SamplerSettings(name="ddim", steps=9, spacing="trailing")
    assert SamplerSettings(name="ddpm", steps=9).spacing == "linspace"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "ddim", "steps": 9, "spacing": "linspace"}, "spacing of ddim is trailing or leading, not linspace"),
        ({"name": "ddpm", "steps": 9, "spacing": "trailing"}, "spacing of ddpm is linspace, not trailing"),
        ({"name": "ddpm", "steps": 9, "eta": 0.5}, "eta belongs to ddim"),
        ({"name": "ddpm", "steps": 1}, "steps of ddpm is at least 2"),
        ({"name": "ddim", "steps": 0}, "steps"),
        ({"name": "euler", "steps": 9}, "ddpm"),
        ({"name": "ddim", "steps": 9, "eta": 1.5}, "eta"),
    ],
)
def test_invalid_settings_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SamplerSettings(**fields)  # type: ignore[arg-type]


def test_settings_that_a_model_does_not_allow_are_refused() -> None:
    with pytest.raises(SamplerError, match="steps is 1001; accepted is at most 1000"):
        make_scheduler({}, SamplerSettings(name="ddim", steps=1001))
    with pytest.raises(SamplerError, match="prediction_type is 'flow_prediction'"):
        make_scheduler({"prediction_type": "flow_prediction"}, SamplerSettings(name="ddim", steps=10))
