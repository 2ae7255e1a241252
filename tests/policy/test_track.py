"""Which samplers add noise: what is said of them agrees with what their schedulers do."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch

from compute.pipeline.schedulers import make_scheduler
from compute.policy.track import adds_noise
from store.sampler import SamplerSettings

SAMPLERS: list[dict[str, Any]] = [
    {"name": "ddpm"},
    {"name": "ddim"},
    {"name": "ddim", "eta": 0.5},
    {"name": "DDPMScheduler"},
    {"name": "DDIMScheduler"},
    {"name": "PNDMScheduler"},
    {"name": "DPMSolverMultistepScheduler"},
    {"name": "DPMSolverMultistepScheduler", "options": {"algorithm_type": "sde-dpmsolver++"}},
    {"name": "DPMSolverSinglestepScheduler"},
    {"name": "UniPCMultistepScheduler"},
    {"name": "DEISMultistepScheduler"},
    {"name": "EulerDiscreteScheduler"},
    {"name": "EulerAncestralDiscreteScheduler"},
    {"name": "HeunDiscreteScheduler"},
    {"name": "KDPM2AncestralDiscreteScheduler"},
    {"name": "LMSDiscreteScheduler"},
    {"name": "LCMScheduler"},
    {"name": "TCDScheduler"},
    {"name": "SASolverScheduler"},
]


@pytest.mark.parametrize("fields", SAMPLERS, ids=str)
def test_a_sampler_adds_noise_where_its_scheduler_does(fields: dict[str, Any]) -> None:
    """Two runs whose generators differ have different results."""
    sampler = SamplerSettings(**fields, steps=4)
    results = []
    for seed in (0, 1):
        scheduler = make_scheduler({"beta_schedule": "scaled_linear", "clip_sample": False}, sampler)
        if sampler.name not in ("ddpm", "ddim"):
            scheduler.set_timesteps(4)
        generator, x_t = torch.Generator().manual_seed(seed), torch.ones(1, 3, 4, 4)
        for t in scheduler.timesteps:
            given = {} if "generator" not in inspect.signature(scheduler.step).parameters else {"generator": generator}
            x_t = scheduler.step(torch.full_like(x_t, 0.1), t, x_t, **given).prev_sample
        results.append(x_t)
    assert adds_noise(sampler, {}) == (not torch.equal(*results))


def test_eta_of_the_call_makes_ddim_add_noise() -> None:
    sampler = SamplerSettings(name="DDIMScheduler", steps=4)
    assert adds_noise(sampler, {"eta": 1.0}) and not adds_noise(sampler, {"eta": 0.0})
