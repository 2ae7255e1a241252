"""What users do with their pipelines: following and continuing them stays exact."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from peft import LoraConfig

from compute.pipeline import Replay, RunFollower, Step, following
from compute.pipeline.run_steps import FollowError
from tests.pipeline.tiny_pipelines import call, randomised, scheduler, stable_diffusion, tokenizer, unet

from diffusers import EulerDiscreteScheduler, HeunDiscreteScheduler, StableDiffusionImg2ImgPipeline  # isort: skip

SEEDS = (3, 4)


def run(pipe: Any, replay: Replay | None = None, **options: Any) -> tuple[torch.Tensor, list[Step]]:
    """Return the pictures of a followed call, and its steps."""
    steps: list[Step] = []
    with following(pipe, pipe.unet, RunFollower(pipe, on_step=steps.append, replay=replay)):
        return call(pipe, **options), steps


def assert_followed_exactly(pipe: Any, **options: Any) -> list[Step]:
    """Check that following changes nothing and that a run continued in its middle is bit-identical."""
    plain = call(pipe, **options)
    pictures, steps = run(pipe, **options)
    assert torch.equal(pictures, plain)
    outputs = torch.stack([step.output for step in steps])
    for start in (1, len(steps) // 2, len(steps)):
        again, _ = run(pipe, Replay(start=start, outputs=outputs[:start]), **options)
        assert torch.equal(again, plain), f"continued at step {start}"
    assert "forward" not in pipe.unet.__dict__ or hasattr(pipe.unet, "_hf_hook") or hasattr(pipe.unet, "_orig_mod")
    assert not {"step", "set_timesteps"} & set(pipe.scheduler.__dict__)
    return steps


def with_lora(fused: bool) -> Any:
    pipe = stable_diffusion()
    pipe.unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"]))
    randomised(pipe.unet, 9)
    if fused:
        pipe.unet.fuse_lora()
    return pipe


def with_freeu() -> Any:
    pipe = stable_diffusion()
    pipe.enable_freeu(s1=0.9, s2=0.2, b1=1.2, b2=1.4)
    return pipe


def with_attention_slicing() -> Any:
    pipe = stable_diffusion()
    pipe.enable_attention_slicing(1)
    return pipe


def with_offload_hooks() -> Any:
    """Return a pipeline with hooks as accelerate's offloading sets them."""
    pipe = stable_diffusion()
    for part in (pipe.unet, pipe.text_encoder, pipe.vae):
        add_hook_to_module(part, ModelHook())
    return pipe


def compiled() -> Any:
    pipe = stable_diffusion()
    pipe.unet = torch.compile(pipe.unet, backend="eager")
    return pipe


def regionally_compiled() -> Any:
    pipe = stable_diffusion()
    pipe.unet.compile_repeated_blocks(backend="eager")
    return pipe


FEATURES: dict[str, Callable[[], Any]] = {
    "LoRA": lambda: with_lora(fused=False),
    "fused LoRA": lambda: with_lora(fused=True),
    "FreeU": with_freeu,
    "attention slicing": with_attention_slicing,
    "offload hooks": with_offload_hooks,
    "compiled": compiled,
    "regionally compiled": regionally_compiled,
}


@pytest.mark.parametrize("feature", FEATURES)
def test_features_of_pipelines(feature: str) -> None:
    assert_followed_exactly(FEATURES[feature]())


OPTIONS: dict[str, dict[str, Any]] = {
    "no guidance": {"guidance_scale": 1.0},
    "one picture": {"prompts": ("a cat",)},
    "two pictures a prompt": {"prompts": ("a cat",), "num_images_per_prompt": 2, "generator": None},
    "guidance rescale": {"guidance_rescale": 0.5},
    "DDIM's fresh noise": {"eta": 0.7},
    "latents": {"latents": torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(8))},
}


@pytest.mark.parametrize("option", OPTIONS)
def test_arguments_of_calls(option: str) -> None:
    options = OPTIONS[option]
    if "num_images_per_prompt" in options:
        options = options | {"latents": OPTIONS["latents"]["latents"]}
    if "eta" in options:  # drawn from the call's generators, which a continued run draws from as well
        assert_followed_exactly(stable_diffusion(), **options)
        return
    assert_followed_exactly(stable_diffusion(), **options)


def test_prompt_embeddings_given_directly() -> None:
    embeddings = torch.randn(2, 2, 8, 16, generator=torch.Generator().manual_seed(1))
    assert_followed_exactly(stable_diffusion(), prompt_embeds=embeddings[0], negative_prompt_embeds=embeddings[1])


@pytest.mark.parametrize(
    "numbers", [{"timesteps": [900, 601, 40]}, {"sigmas": [9.0, 3.0, 0.4]}], ids=lambda n: next(iter(n))
)
def test_custom_timesteps_and_sigmas(numbers: dict[str, Any]) -> None:
    steps = assert_followed_exactly(stable_diffusion(scheduler=scheduler(EulerDiscreteScheduler)), **numbers)
    assert len(steps) == (3 if "timesteps" in numbers else 2), "the last sigma is where a run ends"


def guidance_off(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Switch guidance off after the second step, as in diffusers' documentation: the batch halves."""
    if step == 1:
        pipe._guidance_scale = 0.0
        return {"prompt_embeds": values["prompt_embeds"].chunk(2)[-1]}
    return values


def test_a_callback_that_changes_guidance_in_the_middle() -> None:
    options = {"callback_on_step_end": guidance_off, "callback_on_step_end_tensor_inputs": ["prompt_embeds"]}
    assert_followed_exactly(stable_diffusion(), **options)


def test_an_interrupted_run_and_the_one_after_it() -> None:
    def interrupt(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        pipe._interrupt = step >= 1
        return values

    pipe = stable_diffusion()
    plain, cut = call(pipe), call(pipe, callback_on_step_end=interrupt)
    steps: list[Step] = []
    with following(pipe, pipe.unet, RunFollower(pipe, on_step=steps.append)):
        assert torch.equal(call(pipe, callback_on_step_end=interrupt), cut)
        assert len(steps) == 2
        assert torch.equal(call(pipe), plain)


def test_a_run_after_one_that_failed() -> None:
    def fail(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        raise KeyboardInterrupt

    pipe = stable_diffusion(scheduler=scheduler(HeunDiscreteScheduler))
    plain = call(pipe)
    steps: list[Step] = []
    with following(pipe, pipe.unet, RunFollower(pipe, on_step=steps.append)):
        with pytest.raises(KeyboardInterrupt):
            call(pipe, callback_on_step_end=fail)
        steps.clear()
        assert torch.equal(call(pipe), plain)
    assert [step.index for step in steps] == list(range(9))


def test_another_pipeline_with_the_same_unet_is_refused_and_works_afterwards() -> None:
    pipe = stable_diffusion()
    other = stable_diffusion(StableDiffusionImg2ImgPipeline, pipe.unet)
    plain = call(other)
    with following(pipe, pipe.unet, RunFollower(pipe)), pytest.raises(FollowError, match="outside a run"):
        call(other)
    assert torch.equal(call(other), plain)


def test_a_pipeline_that_samples_with_a_deep_copy_of_its_scheduler() -> None:
    pipe = stable_diffusion()
    own = pipe.scheduler

    @contextmanager
    def copied() -> Iterator[None]:
        pipe.scheduler = copy.deepcopy(own)
        yield
        pipe.scheduler = own

    plain = call(pipe)
    steps: list[Step] = []
    with following(pipe, pipe.unet, RunFollower(pipe, on_step=steps.append)), copied():
        assert torch.equal(call(pipe), plain)
    assert len(steps) == 5
    assert not {"step", "set_timesteps"} & set(own.__dict__)


def test_a_deep_copy_of_the_unet_is_not_followed() -> None:
    pipe = stable_diffusion()
    plain = call(pipe)
    with following(pipe, pipe.unet, RunFollower(pipe)):
        copied = copy.deepcopy(pipe.unet)
    pipe.unet = copied
    assert torch.equal(call(pipe), plain)


def test_seeds_determine_the_noise_of_every_step_alone() -> None:
    pipe = stable_diffusion()
    latents = OPTIONS["latents"]["latents"]

    def pictures(rows: list[int]) -> torch.Tensor:
        prompts = tuple(("a cat", "a dog on grass")[row] for row in rows)
        with following(pipe, pipe.unet, RunFollower(pipe, seeds=[SEEDS[row] for row in rows])):
            return call(pipe, prompts, eta=1.0, latents=latents[rows], generator=None)

    both = pictures([0, 1])
    torch.testing.assert_close(pictures([1])[0], both[1], rtol=1e-3, atol=1e-4)
    assert torch.equal(pictures([1, 0]).flip(0), both) or torch.allclose(pictures([1, 0]).flip(0), both, atol=1e-4)


def test_the_tokenizer_of_the_tests_reads_whole_words() -> None:
    assert tokenizer().tokenize("a dog on grass") == ["a</w>", "dog</w>", "on</w>", "grass</w>"]
    assert unet().config.cross_attention_dim == 16
