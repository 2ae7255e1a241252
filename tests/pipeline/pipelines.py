"""A pipeline that is independent of the project, and schedules to run it under.

It has a plain loop over its scheduler's timesteps, and guidance in one call of the UNet or in two.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

import compute.torchvision_ops  # noqa: F401  (diffusers imports torchvision)
from compute.pipeline import initial_noise, make_scheduler, step_generators
from compute.policy.graph import ComponentGraph
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import SkipPolicy
from store.records import Action
from store.sampler import SamplerSettings
from tests.pipeline.written_out import written_out
from tests.unet.tiny import DEEP

from diffusers import DDIMScheduler, DDPMScheduler, DiffusionPipeline  # isort: skip

SEEDS = [5, 6]
STEPS = 8
SHAPE = (3, 8, 8)
REUSE = Action(name="reuse")
SCHEDULES = {
    f"unet {space} order {order}": Schedule(
        steps=STEPS,
        actions={
            step: {"unet": Action(name="reuse", space=space, order=order)}  # type: ignore[arg-type]
            for step in ((2, 4, 5, 7) if order < 2 else (3, 5, 6))
        },
    )
    for space in ("eps", "x0")
    for order in (0, 1, 2)
} | {
    "nothing": Schedule.empty(STEPS),
    "deepcache": Schedule(steps=STEPS, actions={step: {DEEP: REUSE} for step in (1, 3, 4, 6)}),
    "bypass": Schedule(
        steps=STEPS, actions={step: {"mid_block.attentions.0": Action(name="bypass")} for step in range(3, 8)}
    ),
    "delta": Schedule(steps=STEPS, actions={2: {"mid_block.resnets.0": Action(name="reuse_delta")}}),
    "all": Schedule(
        steps=STEPS, actions={3: {DEEP: REUSE}, 4: {"unet": Action(name="reuse", space="x0")}, 6: {DEEP: REUSE}}
    ),
}
DROPPED = "unet x0 order 0"
MakePolicy = Callable[..., SkipPolicy]


def ddpm(**changes: Any) -> Any:
    """Return the scheduler of GLIDE's base stage, with some of its options changed."""
    scheduler: Any = DDPMScheduler
    options = {"beta_schedule": "squaredcos_cap_v2", "variance_type": "learned_range", "timestep_spacing": "linspace"}
    return scheduler(**(options | changes))


def ddim(**changes: Any) -> Any:
    """Return diffusers' own DDIM scheduler over evenly spaced timesteps, with some of its options changed."""
    scheduler: Any = DDIMScheduler
    return scheduler(**({"beta_schedule": "squaredcos_cap_v2", "timestep_spacing": "trailing"} | changes))


class OtherPipeline(DiffusionPipeline):  # type: ignore[misc]
    """Samples pictures from text embeddings. It uses nothing of this project but its noise."""

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
        """Return the final pictures. `embeddings` have 2B rows, those of the empty prompt last."""
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
            generator = {"generator": noise(step)} if "generator" in accepted and noise else {}
            x_t = chosen.step(output, t, x_t, **generator, **step_arguments).prev_sample
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


def embeddings() -> dict[str, Tensor]:
    """Return the UNet's text inputs for SEEDS: as many rows of prompts and of the empty prompt."""
    generator = torch.Generator().manual_seed(1)
    rows = 2 * len(SEEDS)
    return {
        "encoder_hidden_states": torch.randn(rows, 5, 32, generator=generator),
        "class_labels": torch.randn(rows, 128, generator=generator),
    }


def run_pipeline(pipe: OtherPipeline, **arguments: Any) -> Tensor:
    """Return the pipeline's final pictures for `embeddings()` and SEEDS."""
    defaults = {"noise": lambda step: step_generators(SEEDS, step), "num_inference_steps": STEPS}
    return pipe(embeddings(), initial_noise(SEEDS, SHAPE), **(defaults | arguments))  # type: ignore[no-any-return]


def sample_by_hand(unet: Any, graph: ComponentGraph, policy: SkipPolicy, sampler: str = "ddpm") -> Tensor:
    """Return the pictures of a loop that does at each step what the policy says, written out for GLIDE's samplers."""
    scheduler = make_scheduler({}, SamplerSettings.model_validate({"name": sampler, "steps": STEPS}))
    x_t, resolved = initial_noise(SEEDS, SHAPE), resolve(graph, policy.schedule)
    return written_out(unet, scheduler, embeddings(), x_t, seeds=SEEDS, resolved=resolved)[-1]
