"""The pipelines sample what OpenAI's package samples with the same noise, by DDPM and DDIM, guided, several captions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from compute.models.glide.respacing import respaced_timesteps
from compute.models.glide.upsampler import UPSAMPLER_NOISE
from compute.pipeline.noise import initial_noise, step_generators
from tests.parity.official_glide import PROMPTS, Stages, converted, diffusion

SEEDS = [3, 4, 5]
GUIDANCE = 3.0
TOLERANCE = 1e-4


def step_noise(shape: tuple[int, ...], step: int) -> Tensor:
    """Return the noise that the pipelines add at a step."""
    return torch.stack([torch.randn(shape, generator=generator) for generator in step_generators(SEEDS, step)])


@torch.no_grad()
def official(
    monkeypatch: pytest.MonkeyPatch,
    stages: Stages,
    process: Any,
    noise: Tensor,
    *,
    guidance: float = 1.0,
    is_ddim: bool = False,
    eta: float = 0.0,
    known: tuple[Tensor, Tensor] | None = None,
    **condition: Tensor,
) -> list[Tensor]:
    """Return the states of the package's run, guided as in its notebooks."""
    batch, rows = len(noise), 1 if guidance == 1 else 2
    text = stages.text([*PROMPTS, *[""] * (len(PROMPTS) * (rows - 1))])
    inputs = {key: value.repeat(rows, 1, 1, 1) for key, value in condition.items()}
    steps = iter(range(process.num_timesteps))

    def guided(x_t: Tensor, t: Tensor, **kwargs: Any) -> Tensor:
        half = x_t[:batch]
        output = stages.official(torch.cat([half] * rows), t, **kwargs)
        if rows == 1:
            return output
        conditional, empty = output[:, :3].chunk(2)
        eps = empty + guidance * (conditional - empty)
        return torch.cat([torch.cat([eps, eps]), output[:, 3:]], dim=1)

    def imposed(x0: Tensor) -> Tensor:
        assert known is not None
        picture, mask = (part.repeat(rows, 1, 1, 1) for part in known)
        return x0 * (1 - mask) + picture * mask

    monkeypatch.setattr(
        torch, "randn_like", lambda x: step_noise(tuple(x.shape[1:]), next(steps)).repeat(len(x) // batch, 1, 1, 1)
    )
    loop = process.ddim_sample_loop_progressive if is_ddim else process.p_sample_loop_progressive
    given: dict[str, Any] = {"eta": eta} if is_ddim else {}
    states = loop(
        guided,
        (batch * rows, *noise.shape[1:]),
        noise=noise.repeat(rows, 1, 1, 1),
        device="cpu",
        model_kwargs=text | inputs,
        denoised_fn=None if known is None else imposed,
        **given,
    )
    return [state["sample"][:batch] for state in states]


def ours(pipe: Any, **arguments: Any) -> list[Tensor]:
    """Return the states of our run."""
    states: list[Tensor] = []
    pipe(
        PROMPTS, seed=SEEDS, output_type="pt", **arguments,
        callback_on_step_end=lambda *args: states.append(args[3]["latents"]),
    )  # fmt: skip
    return states


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    assert len(found) == len(expected)
    distances = [float((a - b).abs().max()) for a, b in zip(found, expected, strict=True)]
    print(f"largest distance: {max(distances):.1e} at step {distances.index(max(distances))}, last {distances[-1]:.1e}")
    assert max(distances) <= TOLERANCE
    assert expected[-1].std() > 0.1


@pytest.mark.parametrize("respacing", ["27", "fast27", "ddim50", "100"])
def test_guided_ddpm(respacing: str, glide_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = converted("base", glide_folder)
    noise = initial_noise(SEEDS, (3, stages.pipe.side, stages.pipe.side))
    found = ours(stages.pipe, timesteps=respaced_timesteps(respacing), guidance_scale=GUIDANCE)
    expected = official(monkeypatch, stages, diffusion("base", respacing), noise, guidance=GUIDANCE)
    assert_same(found, expected)
