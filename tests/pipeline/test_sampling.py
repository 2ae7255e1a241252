"""The sampling loop: parity with plain diffusers, guidance, and runs that start and stop at any step."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from compute.pipeline import Step, TextEncoding, initial_noise, make_scheduler, sample, step_generators
from store.errors import SkipscopeError
from store.sampler import SamplerSettings

# diffusers leaves its schedulers untyped.
PlainDDPM: Any = diffusers.DDPMScheduler
PlainDDIM: Any = diffusers.DDIMScheduler

SHAPE = (3, 16, 16)
SEEDS = [11, 12, 13]
DDPM = SamplerSettings(name="ddpm", steps=8)
SAMPLERS = [DDPM, SamplerSettings(name="ddim", steps=8), SamplerSettings(name="ddim", steps=8, eta=0.5)]
# At t = 999 pred_x0 is a difference divided by sqrt(alpha_bar) = 5e-5, which amplifies rounding errors.
AFTER_PURE_NOISE = 1
each_sampler = pytest.mark.parametrize("config", SAMPLERS, ids=["ddpm", "ddim", "ddim-eta"])


def text_of(batch: int) -> TextEncoding:
    """Return a random encoding of different prompts."""
    generator = torch.Generator().manual_seed(3)
    empty = torch.randn(1, 5, 32, generator=generator), torch.randn(1, 128, generator=generator)
    prompts = torch.randn(batch, 5, 32, generator=generator), torch.randn(batch, 128, generator=generator)
    sequence, pooled = (torch.cat([p, e.expand_as(p)]) for p, e in zip(prompts, empty, strict=True))
    return TextEncoding(sequence=sequence, pooled=pooled)


def rows_of(text: TextEncoding, rows: slice) -> TextEncoding:
    """Return the encoding of some of the prompts."""
    halves = text.sequence.chunk(2), text.pooled.chunk(2)
    sequence, pooled = (torch.cat([half[rows] for half in pair]) for pair in halves)
    return TextEncoding(sequence=sequence, pooled=pooled)


def run(unet: Any, config: SamplerSettings = DDPM, guidance: float | Tensor = 3.0, **arguments: Any) -> list[Step]:
    inputs: dict[str, Any] = {
        "text": text_of(len(SEEDS)),
        "x_t": initial_noise(SEEDS, SHAPE),
        "seeds": SEEDS,
    } | arguments
    text, x_t = inputs.pop("text"), inputs.pop("x_t")
    return list(sample(unet, make_scheduler({}, config), text, x_t, guidance=guidance, **inputs))


class Recording:
    """A cheap UNet that records how many rows it was called on."""

    dtype = torch.float32

    def __init__(self, channels: int = 6) -> None:
        self.rows: list[int] = []
        self.channels = channels

    def __call__(self, x: Tensor, t: Tensor, *, encoder_hidden_states: Tensor, class_labels: Tensor) -> Any:
        assert len(x) == len(encoder_hidden_states) == len(class_labels)
        self.rows.append(len(x))
        bias = class_labels.mean(1)[:, None, None, None] + t / 1000
        return SimpleNamespace(sample=torch.cat([x, x], dim=1)[:, : self.channels].tanh() + bias)


@torch.inference_mode()
def plain_loop(unet: Any, config: SamplerSettings, guidance: float, start: int) -> list[tuple[Tensor, Tensor]]:
    """Return (x_next, pred_x0) of every step of a loop as users of diffusers write it."""
    if config.name == "ddpm":
        spacing = {"variance_type": "learned_range", "timestep_spacing": "linspace"}
        scheduler = PlainDDPM(beta_schedule="squaredcos_cap_v2", **spacing)
    else:
        scheduler = PlainDDIM(beta_schedule="squaredcos_cap_v2", timestep_spacing="trailing")
    scheduler.set_timesteps(config.steps)
    text, x_t, states = text_of(len(SEEDS)), initial_noise(SEEDS, SHAPE), []
    for index, t in list(enumerate(scheduler.timesteps))[start:]:
        embeddings = {"encoder_hidden_states": text.sequence, "class_labels": text.pooled}
        output = unet(torch.cat([x_t, x_t]), t, **embeddings).sample
        (eps, sigma), (eps_empty, _) = (half.split(3, dim=1) for half in output.chunk(2))
        eps = eps_empty + guidance * (eps - eps_empty)
        arguments = {"generator": step_generators(SEEDS, index), "return_dict": False}
        if config.name == "ddpm":
            x_t, pred_x0 = scheduler.step(torch.cat([eps, sigma], dim=1), t, x_t, **arguments)
        else:
            x_t, pred_x0 = scheduler.step(eps, t, x_t, eta=config.eta, use_clipped_model_output=True, **arguments)
        states.append((x_t, pred_x0))
    return states


@each_sampler
def test_the_loop_equals_plain_diffusers(tiny_unet: Any, config: SamplerSettings) -> None:
    start, tolerance = (
        (0, 0.0) if config.name == "ddpm" else (AFTER_PURE_NOISE, 1e-4)
    )  # our DDIM computes its coefficients in float64
    plain = plain_loop(tiny_unet, config, 3.0, start)
    for step, (x_next, pred_x0) in zip(run(tiny_unet, config, start=start), plain, strict=True):
        torch.testing.assert_close(step.x_next, x_next, atol=tolerance, rtol=tolerance)
        torch.testing.assert_close(step.pred_x0, pred_x0, atol=tolerance, rtol=tolerance)


@each_sampler
def test_steps_are_chained_and_end_in_the_clean_picture(tiny_unet: Any, config: SamplerSettings) -> None:
    steps = run(tiny_unet, config)
    assert [step.index for step in steps] == list(range(config.steps))
    assert [step.t for step in steps] == make_scheduler({}, config).timesteps.tolist()
    assert torch.equal(steps[0].x_t, initial_noise(SEEDS, SHAPE))
    assert all(torch.equal(before.x_next, after.x_t) for before, after in itertools.pairwise(steps))
    torch.testing.assert_close(steps[-1].x_next, steps[-1].pred_x0)
    assert max(step.pred_x0.abs().max() for step in steps) <= 1


@each_sampler
@pytest.mark.parametrize("start", [1, 3, 7])
def test_a_run_from_a_later_step_equals_the_whole_run(tiny_unet: Any, config: SamplerSettings, start: int) -> None:
    whole = run(tiny_unet, config)
    started = run(tiny_unet, config, x_t=whole[start].x_t.clone(), start=start)
    assert [step.index for step in started] == list(range(start, config.steps))
    for a, b in zip(started, whole[start:], strict=True):
        assert torch.equal(a.x_t, b.x_t)
        assert torch.equal(a.pred_x0, b.pred_x0)
        assert torch.equal(a.x_next, b.x_next)


@each_sampler
def test_a_batch_equals_its_samples_one_by_one(tiny_unet: Any, config: SamplerSettings) -> None:
    guidance = torch.tensor([1.5, 3.0, 4.0])
    together, text = run(tiny_unet, config, guidance, start=AFTER_PURE_NOISE), text_of(len(SEEDS))
    for row, seed in enumerate(SEEDS):
        one = slice(row, row + 1)
        alone = run(
            tiny_unet,
            config,
            guidance[one],
            text=rows_of(text, one),
            x_t=initial_noise([seed], SHAPE),
            seeds=[seed],
            start=AFTER_PURE_NOISE,
        )
        for a, b in zip(alone, together, strict=True):
            torch.testing.assert_close(a.x_next, b.x_next[one], atol=1e-4, rtol=1e-4)


def test_the_noise_depends_on_the_seeds() -> None:
    x_t = initial_noise(SEEDS, SHAPE)
    a, b = (run(Recording(), x_t=x_t, seeds=seeds, stop=1)[0].x_next for seeds in (SEEDS, [11, 12, 99]))
    assert torch.equal(a[:2], b[:2])
    assert not torch.equal(a[2], b[2])


def test_a_guidance_of_one_needs_no_empty_prompt(tiny_unet: Any) -> None:
    conditional = run(tiny_unet, guidance=1.0, start=AFTER_PURE_NOISE)
    guided = run(tiny_unet, guidance=torch.tensor([1.0, 1.0, 3.0]), start=AFTER_PURE_NOISE)
    torch.testing.assert_close(conditional[-1].x_next[:2], guided[-1].x_next[:2], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(conditional[-1].x_next[2], guided[-1].x_next[2], atol=1e-2)


@pytest.mark.parametrize(("guidance", "rows"), [(1.0, 3), (3.0, 6), (0.0, 6), (torch.tensor([1.0, 1.0, 2.0]), 6)])
def test_the_unet_is_called_once_a_step(guidance: float | Tensor, rows: int) -> None:
    unet = Recording()
    run(unet, guidance=guidance)
    assert unet.rows == [rows] * DDPM.steps


@each_sampler
def test_a_unet_without_learned_sigma_runs_where_the_scheduler_needs_none(config: SamplerSettings) -> None:
    scheduler = make_scheduler({"variance_type": "fixed_small"}, config)
    text, x_t = text_of(3), initial_noise(SEEDS, SHAPE)
    plain, learned = (
        list(sample(Recording(channels), scheduler, text, x_t, seeds=SEEDS, guidance=2.0)) for channels in (3, 6)
    )
    assert torch.equal(plain[-1].x_next, learned[-1].x_next)


def test_the_consumer_may_leave_early_and_is_not_in_inference_mode() -> None:
    unet = Recording()
    steps = sample(unet, make_scheduler({}, DDPM), text_of(3), initial_noise(SEEDS, SHAPE), seeds=SEEDS, guidance=2.0)
    for step in steps:
        assert step.x_next.is_inference()
        assert not torch.is_inference_mode_enabled()
        if step.index == 2:
            break
    steps.close()  # type: ignore[attr-defined]
    assert len(unet.rows) == 3
    assert torch.ones(1, requires_grad=True).mul(2).requires_grad


def test_stop_ends_the_run() -> None:
    assert [step.index for step in run(Recording(), start=2, stop=5)] == [2, 3, 4]
    assert run(Recording(), start=8) == []


def test_the_scheduler_keeps_float32_when_the_unet_does_not(tiny_unet: Any) -> None:
    import copy

    half = copy.deepcopy(tiny_unet).to(torch.bfloat16)
    steps, exact = run(half, start=4), run(tiny_unet, start=4)
    assert {step.x_next.dtype for step in steps} == {step.pred_x0.dtype for step in steps} == {torch.float32}
    torch.testing.assert_close(steps[0].x_next, exact[0].x_next, atol=0.1, rtol=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": 5, "stop": 4}, r"steps \[5, 4\) don't lie in the sampler's \[0, 8\)"),
        ({"stop": 9}, r"steps \[0, 9\)"),
        ({"start": -1}, r"steps \[-1, 8\)"),
        ({"seeds": [1]}, "1 seeds for 3 samples"),
        ({"text": text_of(2)}, "text has 4 rows; 3 samples need 6"),
        ({"guidance": torch.ones(2)}, "guidance has 2 values; give one, or one a sample"),
    ],
)
def test_sizes_and_steps_that_do_not_match_are_refused_before_anything_runs(
    arguments: dict[str, Any], message: str
) -> None:
    inputs: dict[str, Any] = {
        "text": text_of(3),
        "x_t": initial_noise(SEEDS, SHAPE),
        "seeds": SEEDS,
        "guidance": 1.0,
    } | arguments
    text, x_t = inputs.pop("text"), inputs.pop("x_t")
    with pytest.raises(SkipscopeError, match=message):
        sample(Recording(), make_scheduler({}, DDPM), text, x_t, **inputs)
