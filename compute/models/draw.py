"""Pictures of conditions, at full compute or under a schedule."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from jaxtyping import Float
from torch import Tensor

from compute.models.source import Model
from compute.pipeline.noise import initial_noise
from compute.pipeline.sampling import sample
from compute.pipeline.schedulers import make_scheduler
from compute.policy.liveness import ResolvedSchedule
from compute.unet import acting
from store.records import Condition
from store.sampler import SamplerSettings


def draw_pictures(
    model: Model, conditions: Sequence[Condition], sampler: SamplerSettings, resolved: ResolvedSchedule | None = None
) -> Float[Tensor, "B 3 H W"]:
    """The final pictures of conditions in [-1, 1]; without a schedule everything is computed."""
    unet = model.pipe.unet
    scheduler = make_scheduler(model.pipe.scheduler.config, sampler)
    seeds = [condition.seed for condition in conditions]
    guidance = torch.tensor([condition.guidance for condition in conditions])
    text = model.encode(tuple(condition.prompt for condition in conditions))
    final = initial_noise(seeds, model.picture_shape, device=unet.device)
    with nullcontext() if resolved is None else acting(unet, resolved) as acts:
        for step in sample(unet, scheduler, text, final, seeds=seeds, guidance=guidance, acts=acts):
            final = step.x_next
    return final.clamp(-1, 1)
