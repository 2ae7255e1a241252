"""Pipelines as others write them: a plain loop over their scheduler's timesteps, guidance in one call or in two."""

from __future__ import annotations

import copy
import inspect
from typing import Any, Literal

import torch
from torch import Tensor

import compute.torchvision_ops  # noqa: F401  (diffusers imports torchvision)

from diffusers import DDIMScheduler, DDPMScheduler, DiffusionPipeline  # isort: skip

SEEDS = [5, 6]


def ddpm(**changes: Any) -> Any:
    """The scheduler of GLIDE's base stage."""
    scheduler: Any = DDPMScheduler
    given = {"beta_schedule": "squaredcos_cap_v2", "variance_type": "learned_range", "timestep_spacing": "linspace"}
    return scheduler(**(given | changes))


def ddim(**changes: Any) -> Any:
    """diffusers' own DDIM over evenly spaced timesteps."""
    scheduler: Any = DDIMScheduler
    return scheduler(**({"beta_schedule": "squaredcos_cap_v2", "timestep_spacing": "trailing"} | changes))


class ForeignPipeline(DiffusionPipeline):  # type: ignore[misc]
    """Text to picture, with embeddings for text. It knows nothing of this project but its noise."""

    def __init__(self, unet: Any, scheduler: Any) -> None:
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler)

    @property
    def guidance_scale(self) -> float:
        return self._guidance_scale  # type: ignore[no-any-return]

    @torch.no_grad()
    def __call__(
        self,
        embeddings: dict[str, Tensor],
        x_t: Tensor,
        *,
        num_inference_steps: int = 8,
        guidance_scale: float = 3.0,
        calls: Literal[1, 2] = 1,
        scheduler: Literal["own", "deep copy", "new"] = "own",
        timesteps: list[int] | None = None,
        first: int = 0,
        noise: Any = None,
        at_step: Any = None,
        **step_arguments: Any,
    ) -> Tensor:
        """Final pictures of (2B, …) `embeddings`, those of the empty prompt last."""
        self._guidance_scale = guidance_scale
        chosen: Any = self.scheduler
        if scheduler != "own":
            chosen = copy.deepcopy(chosen) if scheduler == "deep copy" else type(chosen).from_config(chosen.config)
        self.used = chosen
        if timesteps is None:
            chosen.set_timesteps(num_inference_steps, device="cpu")
        else:
            chosen.set_timesteps(timesteps=timesteps, device="cpu")
        accepted = set(inspect.signature(chosen.step).parameters)
        for step, t in list(enumerate(chosen.timesteps))[first:]:
            output = self._guided(embeddings, chosen.scale_model_input(x_t, t), t, calls)
            if "variance_type" not in chosen.config:
                output = output[:, : x_t.shape[1]]
            given = {"generator": noise(step)} if "generator" in accepted and noise else {}
            x_t = chosen.step(output, t, x_t, **given, **step_arguments).prev_sample
            if at_step is not None:
                at_step(step, x_t)
        return x_t

    def _guided(self, embeddings: dict[str, Tensor], x_t: Tensor, t: Tensor, calls: int) -> Tensor:
        if calls == 1:
            output = self.unet(torch.cat([x_t] * 2), t, **embeddings, return_dict=False)[0]
        else:
            halves = [{name: value.chunk(2)[half] for name, value in embeddings.items()} for half in (0, 1)]
            output = torch.cat([self.unet(x_t, t, **half).sample for half in halves])
        conditional, unconditional = output.chunk(2)
        channels = x_t.shape[1]
        eps, eps_empty = conditional[:, :channels], unconditional[:, :channels]
        guided = eps_empty + self._guidance_scale * (eps - eps_empty)
        return torch.cat([guided, conditional[:, channels:]], dim=1)
