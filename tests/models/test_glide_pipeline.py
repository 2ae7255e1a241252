"""GLIDE's pipeline as users of diffusers call it samples what the project's own loop samples, also under policies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from compute.images import image_of
from compute.models.glide.pipeline import GlidePipeline, PipelineInputError
from compute.models.glide.text_transformer import UnreadablePrompt
from compute.models.loading import load_model
from compute.models.model import Model
from compute.models.source import GLIDE_MINI
from compute.pipeline import applied, initial_noise, make_scheduler
from compute.policy.liveness import resolve
from compute.policy.rules import rules_of
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import PolicyModel, SkipPolicy
from compute.unet import parameter_digests
from store.records import Action, Condition
from store.sampler import SamplerSettings
from tests.pipeline.written_out import texts, written_out

PROMPTS = ["a cat on a blue background", "a key on a red background"]
SEEDS = [3, 2**40]
STEPS = 5
DDPM = SamplerSettings(name="ddpm", steps=STEPS)
SAMPLERS = {"ddpm": DDPM, "ddim": SamplerSettings(name="ddim", steps=STEPS)}
REUSE = Action(name="reuse")
ROWS: dict[str, dict[str, Action]] = {
    **{
        f"unet {space} order {order}": {"unet": Action(name="reuse", space=space, order=order)}  # type: ignore[arg-type]
        for space in ("eps", "x0")
        for order in (0, 1)
    },
    "deepcache": {"up_blocks.1.upsamplers.0": REUSE},
    "bypass": {"mid_block.attentions.0": Action(name="bypass"), "down_blocks.1.resnets.0": Action(name="bypass")},
}


@pytest.fixture(scope="module")
def model() -> Model:
    model = load_model(GLIDE_MINI)
    model.pipe.set_progress_bar_config(disable=True)
    return model


@pytest.fixture
def pipe(model: Model) -> Iterator[GlidePipeline]:
    """Yield the model's pipeline, whose scheduler a test may replace."""
    pipe = model.pipe
    before = pipe.scheduler
    yield pipe
    pipe.scheduler = before


def run_pipeline(pipe: GlidePipeline, **arguments: Any) -> Tensor:
    """Return pictures of PROMPTS in [-1, 1]."""
    defaults: dict[str, Any] = {"num_inference_steps": STEPS, "seed": SEEDS, "output_type": "pt"}
    return pipe(PROMPTS, **(defaults | arguments)).images * 2 - 1  # type: ignore[no-any-return]


def conditions(guidance: float = 3.0, seeds: Sequence[int] = SEEDS) -> list[Condition]:
    return [Condition(prompt=p, seed=s, guidance=guidance) for p, s in zip(PROMPTS, seeds, strict=True)]


@pytest.mark.parametrize("guidance", [3.0, 1.0, 0])
def test_the_pipeline_samples_what_the_own_loop_samples(model: Model, pipe: GlidePipeline, guidance: float) -> None:
    expected = (model.run(conditions(guidance), DDPM) + 1) / 2
    pictures = pipe(PROMPTS, num_inference_steps=STEPS, guidance_scale=guidance, seed=SEEDS, output_type="pt").images
    assert torch.equal(pictures, expected)
    assert pipe.guidance_scale == guidance


@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_the_pipeline_samples_what_the_own_loop_samples_with_ddim(
    model: Model, pipe: GlidePipeline, eta: float
) -> None:
    """The scheduler does not read the learned sigma, so the pipeline strips it."""
    sampler = SamplerSettings(name="ddim", steps=STEPS, eta=eta)
    pipe.scheduler = make_scheduler(pipe.scheduler.config, sampler)
    assert torch.equal(run_pipeline(pipe), (model.run(conditions(), sampler) + 1) / 2 * 2 - 1)


def policy_of(model: Model, schedule: Schedule, sampler: SamplerSettings) -> SkipPolicy:
    return SkipPolicy(
        name="tested",
        model=PolicyModel(name=GLIDE_MINI, weights=model.source.digest, unet=parameter_digests(model.unet)),
        sampler=sampler,
        guidance=3.0,
        rules=rules_of(schedule),
    )


def sampled_by_hand(model: Model, schedule: Schedule, sampler: SamplerSettings) -> Tensor:
    scheduler = model.scheduler(sampler)
    resolved, text = resolve(model.graph, schedule), texts(model.pipe, list(PROMPTS))
    x_t = initial_noise(SEEDS, (3, *[model.unet.config.sample_size] * 2))
    x_t = written_out(model.unet, scheduler, text, x_t, seeds=list(SEEDS), resolved=resolved)[-1]
    return (x_t.clamp(-1, 1) + 1) / 2 * 2 - 1


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("name", ROWS)
def test_a_policy_gives_what_the_own_loop_gives(model: Model, pipe: GlidePipeline, name: str, sampler: str) -> None:
    config = SAMPLERS[sampler]
    schedule = Schedule(steps=STEPS, actions=dict.fromkeys((2, 4), ROWS[name]))
    expected = sampled_by_hand(model, schedule, config)
    pipe.scheduler = make_scheduler(pipe.scheduler.config, config)
    with applied(policy_of(model, schedule, config), pipe):
        pictures = run_pipeline(pipe)
    torch.testing.assert_close(pictures, expected, atol=1e-3, rtol=1e-3)
    assert not torch.allclose(run_pipeline(pipe), expected, atol=1e-2)


def test_the_documented_policy_is_for_this_model(pipe: GlidePipeline) -> None:
    document = (Path(__file__).parents[2] / "docs" / "policy-format.md").read_text()
    policy = SkipPolicy.loads(document.split("```json\n")[1].split("```")[0])
    with applied(policy, pipe) as execution:
        assert execution.resolved.schedule == policy.schedule


def test_half_precision(model: Model) -> None:
    """The same policy can be applied to the pipeline in bfloat16, and gives nearly the same pictures."""
    half = load_model(GLIDE_MINI, dtype=torch.bfloat16)
    half.pipe.set_progress_bar_config(disable=True)
    schedule = Schedule(steps=STEPS, actions=dict.fromkeys((2, 4), ROWS["unet x0 order 0"]))
    with applied(policy_of(model, schedule, DDPM), half.pipe):
        pictures = run_pipeline(half.pipe)
    assert pictures.dtype == torch.float32
    own = half.run(conditions(), DDPM, resolve(half.graph, schedule))
    torch.testing.assert_close(pictures, own, atol=1e-6, rtol=0)
    assert (pictures - sampled_by_hand(model, schedule, DDPM)).square().mean() < 0.05


def test_all_output_types_have_the_same_pictures(pipe: GlidePipeline) -> None:
    given: dict[str, Any] = {"num_inference_steps": 2, "seed": SEEDS}
    pt = pipe(PROMPTS, output_type="pt", **given).images
    array = pipe(PROMPTS, output_type="np", **given).images
    images = pipe(PROMPTS, **given).images
    (as_tuple,) = pipe(PROMPTS, return_dict=False, **given)
    assert pt.shape == (2, 3, 32, 32)
    assert array.shape == (2, 32, 32, 3)
    assert np.array_equal(pt.permute(0, 2, 3, 1).numpy(), array)
    assert 0 <= array.min() < array.max() <= 1
    for image, other, picture in zip(images, as_tuple, pt, strict=True):
        assert image.size == (32, 32)
        assert np.array_equal(image, other)
        assert np.array_equal(image, image_of((picture * 2 - 1).numpy()))


def test_one_prompt_and_one_seed(model: Model, pipe: GlidePipeline) -> None:
    alone = pipe(PROMPTS[0], num_inference_steps=STEPS, seed=3, output_type="pt").images
    assert torch.equal(alone, (model.run(conditions()[:1], DDPM) + 1) / 2)
    assert torch.equal(run_pipeline(pipe, seed=3), run_pipeline(pipe, seed=[3, 3]))
    assert not torch.equal(run_pipeline(pipe, seed=3), run_pipeline(pipe, seed=4))


def test_generators_as_in_other_pipelines(pipe: GlidePipeline) -> None:
    def sampled(*seeds: int) -> Tensor:
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        return run_pipeline(pipe, seed=None, generator=generators if len(seeds) > 1 else generators[0])

    assert torch.equal(sampled(1), sampled(1))
    assert torch.equal(sampled(1, 2), sampled(1, 2))
    assert not torch.equal(sampled(1), sampled(2))
    torch.manual_seed(0)
    first = run_pipeline(pipe, seed=None)
    torch.manual_seed(0)
    assert torch.equal(first, run_pipeline(pipe, seed=None))
    assert not torch.equal(first, run_pipeline(pipe, seed=None))


def test_callbacks_are_called_at_every_step_and_may_change_x_t(pipe: GlidePipeline) -> None:
    seen: list[tuple[int, int]] = []

    def callback(argument: GlidePipeline, step: int, t: int, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        assert argument is pipe
        seen.append((step, t))
        return tensors

    plain = run_pipeline(pipe)
    assert torch.equal(run_pipeline(pipe, callback_on_step_end=callback), plain)
    assert seen == list(enumerate(pipe.scheduler.timesteps.tolist()))
    assert torch.equal(run_pipeline(pipe, callback_on_step_end=lambda *_: None), plain)
    empty = run_pipeline(pipe, callback_on_step_end=lambda *args: {"latents": torch.zeros_like(args[3]["latents"])})
    assert empty.abs().max() == 0


def test_the_text_is_encoded_once_and_the_unet_called_once_a_step(pipe: GlidePipeline) -> None:
    calls: list[tuple[str, int]] = []
    hooks = [
        pipe.unet.conv_in.register_forward_hook(lambda _, args, out: calls.append(("unet", len(args[0])))),
        pipe.text_encoder.register_forward_hook(lambda _, args, out: calls.append(("text", len(args[0])))),
    ]
    run_pipeline(pipe)
    run_pipeline(pipe, guidance_scale=1.0)
    for hook in hooks:
        hook.remove()
    assert calls == [("text", 4), *[("unet", 4)] * STEPS, ("text", 4), *[("unet", 2)] * STEPS]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompt": []}, "prompt: a text or a list of texts"),
        ({"prompt": [1]}, "prompt: "),
        ({"prompt": 3}, "prompt: "),
        ({"num_inference_steps": 0}, "num_inference_steps: 0 is not accepted; 1 to 1000 are"),
        ({"num_inference_steps": 1001}, "num_inference_steps: 1001"),
        ({"guidance_scale": float("nan")}, "guidance_scale: nan"),
        ({"guidance_scale": -1}, "guidance_scale: -1"),
        ({"output_type": "latent"}, "output_type: 'latent' is not accepted; pil, np, pt are"),
        ({"seed": [1]}, "seed: give a whole number from 0 on, or one for each of the 2 prompts"),
        ({"seed": -1}, "seed: "),
        ({"seed": 1, "generator": torch.Generator()}, "seed, generator: give one of the two"),
        ({"generator": [torch.Generator()]}, "generator: 1 for 2 prompts; give one, or one each"),
    ],
)
def test_bad_arguments_are_refused_before_anything_runs(
    pipe: GlidePipeline, arguments: dict[str, Any], message: str
) -> None:
    inputs = {"prompt": PROMPTS} | arguments
    with pytest.raises(PipelineInputError) as caught:
        pipe(inputs.pop("prompt"), **inputs)
    assert str(caught.value).startswith(message)


def test_unknown_words_are_refused(pipe: GlidePipeline) -> None:
    with pytest.raises(UnreadablePrompt, match="does not know the word 'cta'"):
        pipe("a cta on a blue background", num_inference_steps=2)
