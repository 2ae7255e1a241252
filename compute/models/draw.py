"""Pictures of conditions at full compute."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from compute.diffusion.noise import initial_noise
from compute.diffusion.sample import sample
from compute.diffusion.samplers import SamplerConfig, make_scheduler
from compute.models.load import Model
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
