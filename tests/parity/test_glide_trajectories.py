"""The pipelines sample what OpenAI's package samples with the same noise: DDPM and DDIM, guided, several captions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from compute.models.glide.respacing import respaced_timesteps
from compute.models.glide.upsampler import UPSAMPLER_NOISE
from compute.pipeline.noise import initial_noise, step_generators
from compute.pipeline.schedulers import make_scheduler
from store.sampler import SamplerSettings
from tests.parity.official_glide import PROMPTS, Stages, converted, diffusion

SEEDS = [3, 4, 5]
GUIDANCE = 3.0
TOLERANCE = 1e-4
INPAINTING = 5e-4
"""Of states on the way. The scheduler is told of the known part as eps, in single precision; at t = 999 that is 20,000
times as much of the picture."""
ROUNDING = 6e-8
"""Of float32."""
SPREAD = 0.02
"""Of the weights. Larger ones make a random network's sampling chaotic: with 0.06 and fast27 two runs of the package
with noise one rounding apart differ by 6e-4."""


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


def assert_same(
    found: list[Tensor], run: Callable[[Tensor], list[Tensor]], noise: Tensor, on_the_way: float = TOLERANCE
) -> None:
    """Check that our states are the package's, which `run` samples from initial noise.

    The gain from eps to the clean picture is some hundreds at first. Where that makes two runs of the package differ
    whose noise is one rounding apart, ours may lie as far from it. `on_the_way` is for states before the last.
    """
    expected = run(noise)
    largest, last = distances(found, expected)
    if largest > on_the_way or last > TOLERANCE:
        own_largest, own_last = distances(run(noise * (1 + ROUNDING)), expected)
        print(f"the package and itself, one rounding apart: {own_largest:.1e}, last {own_last:.1e}")
        assert largest <= on_the_way + 2 * own_largest and last <= TOLERANCE + 2 * own_last
        assert largest < 1e-3
    assert expected[-1].std() > 0.1


def distances(found: list[Tensor], expected: list[Tensor]) -> tuple[float, float]:
    """Return the largest distance of two runs' states, and that of their last ones."""
    each = [float((a - b).abs().max()) for a, b in zip(found, expected, strict=True)]
    print(f"largest distance: {max(each):.1e} at step {each.index(max(each))}, last {each[-1]:.1e}")
    return max(each), each[-1]


def stages_of(kind: str, folder: Path) -> tuple[Stages, Tensor]:
    """Return a stage and its initial noise."""
    stages = converted(kind, folder, SPREAD)
    return stages, initial_noise(SEEDS, (3, stages.pipe.side, stages.pipe.side))


def random_pictures(side: int) -> Tensor:
    """Return a picture for each prompt, of values that an image can have."""
    generator = torch.Generator().manual_seed(side)
    return torch.randint(0, 256, (len(PROMPTS), 3, side, side), generator=generator) / 127.5 - 1


@pytest.fixture
def ddim() -> Iterator[Callable[[Any, str, float], None]]:
    """Give pipelines a DDIM for a respacing, and put their scheduler back afterwards."""
    before: list[tuple[Any, Any]] = []

    def give(pipe: Any, respacing: str, eta: float) -> None:
        timesteps = [float(t) for t in respaced_timesteps(respacing)]
        settings = SamplerSettings(name="ddim", steps=len(timesteps), timesteps=tuple(timesteps), eta=eta)
        before.append((pipe, pipe.scheduler))
        pipe.scheduler = make_scheduler({"_class_name": "ExactDDPMScheduler", **pipe.scheduler.config}, settings)

    yield give
    for pipe, scheduler in before:
        pipe.scheduler = scheduler


@pytest.mark.parametrize("respacing", ["27", "fast27", "ddim50", "100"])
def test_guided_ddpm(respacing: str, glide_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages, noise = stages_of("base", glide_folder)
    found = ours(stages.pipe, timesteps=respaced_timesteps(respacing), guidance_scale=GUIDANCE)
    run = partial(official, monkeypatch, stages, diffusion("base", respacing), guidance=GUIDANCE)
    assert_same(found, run, noise)


@pytest.mark.parametrize(("respacing", "eta"), [("27", 0.0), ("fast27", 0.0), ("ddim50", 0.0), ("27", 0.5)])
def test_guided_ddim(respacing: str, eta: float, glide_folder: Path, monkeypatch: Any, ddim: Any) -> None:
    stages, noise = stages_of("base", glide_folder)
    ddim(stages.pipe, respacing, eta)
    found = ours(stages.pipe, timesteps=respaced_timesteps(respacing), guidance_scale=GUIDANCE)
    process = diffusion("base", respacing)
    run = partial(official, monkeypatch, stages, process, guidance=GUIDANCE, is_ddim=True, eta=eta)
    assert_same(found, run, noise)


@pytest.mark.parametrize("is_ddim", [False, True])
def test_the_upsampler_by_its_defaults(is_ddim: bool, glide_folder: Path, monkeypatch: Any, ddim: Any) -> None:
    """Linear betas, fast27, less initial noise, no guidance; OpenAI's notebooks use DDPM and DDIM."""
    stages, noise = stages_of("upsample", glide_folder)
    low = random_pictures(stages.pipe.side // 4)
    if is_ddim:
        ddim(stages.pipe, "fast27", 0.0)
    found = ours(stages.pipe, image=low)
    process = diffusion("upsample", "fast27")
    run = partial(official, monkeypatch, stages, process, is_ddim=is_ddim, low_res=low)
    assert_same(found, run, noise * UPSAMPLER_NOISE)


@pytest.mark.parametrize("kind", ["inpaint", "upsample-inpaint"])
def test_inpainting(kind: str, glide_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages, noise = stages_of(kind, glide_folder)
    side = stages.pipe.side
    picture, known = random_pictures(side), torch.ones(len(PROMPTS), 1, side, side)
    known[:, :, side // 2 :, side // 4 :] = 0
    condition = {"inpaint_image": picture * known, "inpaint_mask": known}
    if kind == "inpaint":
        found = ours(
            stages.pipe, image=picture, mask_image=1 - known, timesteps=respaced_timesteps("27"), guidance_scale=5.0
        )
        process, guidance = diffusion(kind, "27"), 5.0
    else:
        condition["low_res"] = random_pictures(side // 4)
        found = ours(stages.pipe, image=condition["low_res"], original_image=picture, mask_image=1 - known)
        process, guidance, noise = diffusion(kind, "fast27"), 1.0, noise * UPSAMPLER_NOISE
    given = (picture * known, known)
    run = partial(official, monkeypatch, stages, process, guidance=guidance, known=given, **condition)
    assert_same(found, run, noise, on_the_way=INPAINTING)
    torch.testing.assert_close(found[-1] * known, picture * known, atol=TOLERANCE, rtol=0)
