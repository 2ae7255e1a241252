"""DDPM in double precision, and GLIDE's own timesteps for `ddpm` and `ddim`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from compute.pipeline.exact_ddpm import ExactDDPMScheduler
from compute.pipeline.schedulers import SamplerError, SpacedDDIMScheduler, make_scheduler
from store.sampler import SamplerSettings
from tests.pipeline.test_schedulers import SHAPE, UNEVEN, glide_alpha_bar, noise, outputs

from diffusers import DDPMScheduler  # isort: skip

GLIDE = {
    "beta_schedule": "squaredcos_cap_v2",
    "variance_type": "learned_range",
    "timestep_spacing": "linspace",
    "num_train_timesteps": 1000,
}
EXACT = {"_class_name": "ExactDDPMScheduler", **GLIDE, "clip_sample": True, "prediction_type": "epsilon"}


def posterior(alpha_bar: np.ndarray, timesteps: list[int], x: np.ndarray, output: np.ndarray, step: int) -> np.ndarray:
    """Return DDPM's next state in float64, with a learned range of sigma (arXiv 2102.09672, equations 11 and 15)."""
    now = alpha_bar[timesteps[step]]
    after = alpha_bar[timesteps[step + 1]] if step + 1 < len(timesteps) else 1.0
    beta, eps, sigma = 1 - now / after, output[:, :3], output[:, 3:]
    x0 = ((x - np.sqrt(1 - now) * eps) / np.sqrt(now)).clip(-1, 1)
    mean = np.sqrt(after) * beta / (1 - now) * x0 + np.sqrt(now / after) * (1 - after) / (1 - now) * x
    if step + 1 == len(timesteps):
        return mean
    least, share = np.log(beta * (1 - after) / (1 - now)), (sigma + 1) / 2
    return mean + np.exp(0.5 * (share * np.log(beta) + (1 - share) * least)) * noise(step)


def largest_error(scheduler: Any, alpha_bar: np.ndarray) -> float:
    """Return the largest distance of one step of a scheduler from float64, over the steps of UNEVEN."""
    x, found = np.random.default_rng(2).normal(size=SHAPE), []
    for step, output in enumerate(outputs(len(UNEVEN))):
        expected = posterior(alpha_bar, UNEVEN, x.astype(np.float32).astype(np.float64), output, step)
        given = torch.from_numpy(noise(step)).float()
        import diffusers.schedulers.scheduling_ddpm as module

        original = module.randn_tensor
        module.randn_tensor = lambda *args, given=given, **kwargs: given
        try:
            made = scheduler.step(
                torch.from_numpy(output).float(), torch.tensor(UNEVEN[step]), torch.from_numpy(x).float()
            ).prev_sample
        finally:
            module.randn_tensor = original
        assert made.dtype == torch.float32
        found.append(float(np.abs(made.numpy() - expected).max()))
        x = expected
    return max(found)


@pytest.mark.parametrize("betas", ["squaredcos_cap_v2", "linear"])
def test_each_step_is_exact(betas: str) -> None:
    linear = np.cumprod(1 - np.linspace(0.0001, 0.02, 1000))
    alpha_bar = glide_alpha_bar() if betas == "squaredcos_cap_v2" else linear
    options: dict[str, Any] = {**GLIDE, "beta_schedule": betas}
    errors = []
    for kind in (ExactDDPMScheduler, DDPMScheduler):
        scheduler = kind(**options)
        scheduler.set_timesteps(timesteps=UNEVEN)
        errors.append(largest_error(scheduler, alpha_bar))
    assert errors[0] < 2e-5 and errors[0] < errors[1]


def test_it_is_saved_and_loaded_with_its_options(tmp_path: Path) -> None:
    ExactDDPMScheduler(**GLIDE).save_pretrained(tmp_path)
    loaded = ExactDDPMScheduler.from_pretrained(tmp_path)
    assert loaded.config.variance_type == "learned_range"
    np.testing.assert_allclose(loaded.alphas_cumprod.numpy(), glide_alpha_bar(), rtol=1e-12)
    plain = DDPMScheduler.from_config(loaded.config)
    assert plain.alphas_cumprod.dtype == torch.float32
    with pytest.raises(ValueError, match="'scaled_linear' is not accepted; squaredcos_cap_v2 and linear are"):
        ExactDDPMScheduler(beta_schedule="scaled_linear")


@pytest.mark.parametrize("name", ["ddpm", "ddim"])
def test_own_samplers_take_timesteps(name: str) -> None:
    settings = SamplerSettings.model_validate({"name": name, "timesteps": UNEVEN})
    assert (settings.steps, settings.asked_steps) == (len(UNEVEN), len(UNEVEN))
    scheduler = make_scheduler(EXACT, settings)
    assert scheduler.timesteps.tolist() == UNEVEN
    assert scheduler.alphas_cumprod.dtype == torch.float64
    assert make_scheduler(GLIDE, settings).alphas_cumprod.dtype == torch.float32, "others' numbers stay as they were"
    assert settings.asking(5).timesteps is None
    for bad in ([10, 20], [1000, 0]):
        with pytest.raises(SamplerError, match=r"sampler\.timesteps: "):
            make_scheduler(EXACT, SamplerSettings.model_validate({"name": name, "timesteps": bad}))
    for fields in ({"timesteps": [9.5, 0]}, {"timesteps": [9, 0], "steps": 3}, {"sigmas": [1.0]}):
        with pytest.raises(ValidationError):
            SamplerSettings.model_validate({"name": name, **fields})


def test_ddim_without_noise_is_exact_at_uneven_timesteps() -> None:
    """Equation 12 of DDIM in float64, over the whole run."""
    alpha_bar = glide_alpha_bar()
    scheduler = make_scheduler(EXACT, SamplerSettings.model_validate({"name": "ddim", "timesteps": UNEVEN}))
    assert isinstance(scheduler, SpacedDDIMScheduler)
    x = np.random.default_rng(3).normal(size=SHAPE)
    state = torch.from_numpy(x).float()
    for step, output in enumerate(outputs(len(UNEVEN))[:, :, :3]):
        now = alpha_bar[UNEVEN[step]]
        after = alpha_bar[UNEVEN[step + 1]] if step + 1 < len(UNEVEN) else 1.0
        x0 = ((x - np.sqrt(1 - now) * output) / np.sqrt(now)).clip(-1, 1)
        x = np.sqrt(after) * x0 + np.sqrt(1 - after) * (x - np.sqrt(now) * x0) / np.sqrt(1 - now)
        state = scheduler.step(torch.from_numpy(output).float(), torch.tensor(UNEVEN[step]), state).prev_sample
    np.testing.assert_allclose(state.numpy(), x, atol=1e-5)
