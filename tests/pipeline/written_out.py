"""GLIDE's sampling written out step by step, without following a pipeline: what followed runs are compared with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from compute.pipeline.noise import step_generators
from compute.policy.liveness import ResolvedSchedule
from compute.unet import executing
from store.records import Action

Kept = list[tuple[int, Tensor, Tensor, Tensor]]
"""Step, eps, predicted clean sample and learned sigma of the steps that computed the UNet."""


@torch.no_grad()
def written_out(
    unet: Any,
    scheduler: Any,
    text: dict[str, Tensor],
    x_t: Tensor,
    *,
    seeds: list[int],
    resolved: ResolvedSchedule,
    guidance: float = 3.0,
    start: int = 0,
) -> list[Tensor]:
    """Return the state after each step from `start` on; `text` has the UNet's inputs, the empty prompt's rows last."""
    kept: Kept = []
    states = []
    with executing(unet, resolved) as execution:
        for step in range(start, len(scheduler.timesteps)):
            t = scheduler.timesteps[step]
            execution.begin_step(step)
            action = execution.unet_action(step)
            alpha_bar = float(scheduler.alphas_cumprod[t])
            if action is None:
                output = _guided(unet, text, x_t, t, guidance)
                eps, sigma = output[:, :3], output[:, 3:]
                x0 = ((x_t - (1 - alpha_bar) ** 0.5 * eps) / alpha_bar**0.5).clamp(-1, 1)
                kept.append((step, eps, x0, sigma))
            else:
                output = _reused(kept, action, step, x_t, alpha_bar)
            output = output if scheduler.config.get("variance_type") == "learned_range" else output[:, :3]
            x_t = scheduler.step(output, t, x_t, generator=step_generators(seeds, step), return_dict=False)[0]
            states.append(x_t)
    return states


def _guided(unet: Any, text: dict[str, Tensor], x_t: Tensor, t: Tensor, guidance: float) -> Tensor:
    if guidance == 1:
        half = {name: value[: len(x_t)] for name, value in text.items()}
        return unet(x_t, t, **half).sample  # type: ignore[no-any-return]
    conditional, empty = unet(torch.cat([x_t, x_t]), t, **text).sample.chunk(2)
    eps = empty[:, :3] + guidance * (conditional[:, :3] - empty[:, :3])
    return torch.cat([eps, conditional[:, 3:]], dim=1)


def _reused(kept: Kept, action: Action, step: int, x_t: Tensor, alpha_bar: float) -> Tensor:
    part = 2 if action.space == "x0" else 1
    value, (last, *_, sigma) = kept[-1][part], kept[-1]
    if action.order == 1:
        before = kept[-2]
        value = value + (value - before[part]) * (step - last) / (last - before[0])
    if action.order == 2:
        c, b, a = (entry[0] for entry in kept[-3:])
        value = (
            value * ((step - b) * (step - c) / ((a - b) * (a - c)))
            + kept[-2][part] * ((step - a) * (step - c) / ((b - a) * (b - c)))
            + kept[-3][part] * ((step - a) * (step - b) / ((c - a) * (c - b)))
        )
    if action.space == "x0":
        value = (x_t - alpha_bar**0.5 * value.clamp(-1, 1)) / (1 - alpha_bar) ** 0.5
    return torch.cat([value, sigma], dim=1)


def texts(pipe: Any, prompts: list[str]) -> dict[str, Tensor]:
    """Return a GLIDE pipeline's text inputs of its UNet: those of the prompts, then as many of the empty prompt."""
    sequence, pooled = pipe.encode([*prompts, *[""] * len(prompts)])
    return {"encoder_hidden_states": sequence, "class_labels": pooled}
