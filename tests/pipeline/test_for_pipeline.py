"""Policies written by hand for a pipeline of Stable Diffusion's, and published methods."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

import skipscope
from compute.pipeline import applied
from compute.pipeline.run_steps import FollowError
from compute.policy.graph import UnknownComponent
from compute.policy.skip_policy import PolicyError, SkipPolicy
from compute.unet import ExecutionError
from tests.pipeline.tiny_pipelines import PIPELINES, call, picture, scheduler, stable_diffusion

from diffusers import (  # isort: skip
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    HeunDiscreteScheduler,
    PNDMScheduler,
)

RULES: list[dict[str, Any]] = [
    {"components": "unet", "window": (1, 2), "action": {"name": "reuse", "space": "x0"}},
    {"components": ["mid_block.*", "skip:conv_in"], "window": (2, 4), "action": "reuse"},
]
SCHEDULERS = [DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler, HeunDiscreteScheduler, PNDMScheduler]


@pytest.mark.parametrize("kind", SCHEDULERS, ids=lambda kind: kind.__name__)
def test_a_policy_is_saved_loaded_and_applied(kind: Any, tmp_path: Any) -> None:
    pipe = stable_diffusion(scheduler=scheduler(kind))
    made = SkipPolicy.for_pipeline(pipe, rules=RULES, steps=5, guidance=7.5)
    made.save(tmp_path / "policy.json")
    policy = SkipPolicy.load(tmp_path / "policy.json")
    assert policy == made
    plain = call(pipe)
    calls: list[int] = []
    hook = pipe.unet.conv_out.register_forward_hook(lambda *_: calls.append(1))
    with applied(policy, pipe):
        first, second = call(pipe), call(pipe)
        other = call(pipe, ("a dog",))
    hook.remove()
    assert len(calls) == 3 * (policy.sampler.steps - 1), "one step is dropped"
    assert torch.equal(first, second) and torch.isfinite(first).all()
    assert not torch.equal(first, plain) and other.shape[0] == 1
    assert torch.equal(call(pipe), plain)


@pytest.mark.parametrize("kind", PIPELINES)
def test_an_empty_policy_is_bit_identical(kind: str) -> None:
    pipe = PIPELINES[kind]()
    plain = call(pipe)
    if kind in ("image to image", "inpainting"):  # these make fewer steps than they are asked for
        with (
            pytest.raises(PolicyError, match="5 steps, this run has 4: it begins in the middle"),
            applied(SkipPolicy.for_pipeline(pipe, rules=(), steps=5), pipe),
        ):
            call(pipe, strength=0.8)
        plain = call(pipe, strength=1.0)
        with applied(SkipPolicy.for_pipeline(pipe, rules=(), steps=5), pipe):
            assert torch.equal(call(pipe, strength=1.0), plain)
        return
    with applied(SkipPolicy.for_pipeline(pipe, rules=(), steps=5), pipe):
        assert torch.equal(call(pipe), plain)


@pytest.mark.parametrize("kind", ["image to image", "inpainting"])
def test_a_policy_for_a_call_that_makes_fewer_steps(kind: str) -> None:
    pipe = PIPELINES[kind]()
    arguments: dict[str, Any] = {"prompt": "a cat", "image": picture(), "strength": 0.8, "guidance_scale": 3.0}
    if kind == "inpainting":
        arguments |= {"mask_image": picture(1), "height": 16, "width": 16}
    plain = call(pipe, strength=0.8, guidance_scale=3.0)
    generator = torch.Generator()
    before = generator.get_state()
    policy = SkipPolicy.for_pipeline(pipe, rules=RULES, steps=5, call=arguments | {"generator": generator})
    assert (policy.sampler.steps, policy.sampler.num_inference_steps, policy.guidance) == (4, 5, 3.0)
    assert torch.equal(generator.get_state(), before)
    with applied(policy, pipe):
        assert not torch.equal(call(pipe, strength=0.8, guidance_scale=3.0), plain)
    with applied(SkipPolicy.for_pipeline(pipe, rules=(), steps=5, call=arguments), pipe):
        assert torch.equal(call(pipe, strength=0.8, guidance_scale=3.0), plain)
        with pytest.raises(PolicyError, match="4 steps, this run has 3"):
            call(pipe, strength=0.6)


def test_calls_that_the_pipeline_refuses() -> None:
    with pytest.raises(PolicyError, match=r"call.hight: a StableDiffusionPipeline has no such argument"):
        SkipPolicy.for_pipeline(stable_diffusion(), rules=(), steps=5, call={"prompt": "a cat", "hight": 16})
    with pytest.raises(PolicyError, match=r"call: the StableDiffusionPipeline refuses height, num_infer.*: Prov"):
        SkipPolicy.for_pipeline(stable_diffusion(), rules=(), steps=5, call={"height": 16})


def test_deepcache_is_a_policy() -> None:
    pipe = stable_diffusion()
    policy = skipscope.methods.deepcache(pipe, steps=5, interval=3)
    assert SkipPolicy.loads(policy.dumps()) == policy
    with applied(policy, pipe) as execution:
        pictures = call(pipe)
        assert execution.resolved.total_flops < 0.8 * 5 * execution.resolved.graph.total_flops
    assert torch.isfinite(pictures).all() and not torch.equal(pictures, call(pipe))


def test_other_runs_are_refused() -> None:
    pipe = stable_diffusion()
    policy = SkipPolicy.for_pipeline(pipe, rules=RULES, steps=5)
    with applied(policy, pipe), pytest.raises(PolicyError, match="the policy is for 5 steps, this run has 6"):
        call(pipe, num_inference_steps=6)
    pipe.scheduler = scheduler(timestep_spacing="trailing")
    with (
        applied(policy, pipe),
        pytest.raises(PolicyError, match=r"with timestep_spacing='leading', pipe.scheduler has 'trailing'"),
    ):
        call(pipe)
    pipe.scheduler = scheduler(HeunDiscreteScheduler)
    with applied(policy, pipe), pytest.raises(PolicyError, match="give the pipeline a DDIMScheduler"):
        call(pipe)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"components": ["mid_blok.*"], "action": "reuse"}, "no component matches 'mid_blok"),
        ({"components": ["mid_block.*"]}, "rules.0: components, window and action are accepted"),
        (
            {"components": ["unet"], "window": (0, 9), "action": "reuse"},
            r"window \[0, 9\) lies outside the run: it makes 5",
        ),
    ],
)
def test_rules_without_sense_are_refused(rule: dict[str, Any], message: str) -> None:
    with pytest.raises((PolicyError, UnknownComponent), match=message):
        SkipPolicy.for_pipeline(stable_diffusion(), rules=[rule], steps=5)


def test_a_deep_copy_made_within_the_context_executes_nothing() -> None:
    pipe = stable_diffusion()
    plain = call(pipe)
    with applied(SkipPolicy.for_pipeline(pipe, rules=RULES, steps=5), pipe):
        pipe.unet, own = copy.deepcopy(pipe.unet), pipe.unet
        own.conv_in.weight.data.zero_()  # the copy must not run the original
        with pytest.raises(FollowError, match="without a call of the UNet that was seen"):
            call(pipe)
    assert torch.equal(call(pipe), plain)


def test_a_reuse_across_a_change_of_batch_is_refused() -> None:
    """Which rows of the cached tensors would remain is not known."""

    def guidance_off(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        if step == 1:
            pipe._guidance_scale = 0.0
            return {"prompt_embeds": values["prompt_embeds"].chunk(2)[-1]}
        return values

    pipe = stable_diffusion()
    options = {"callback_on_step_end": guidance_off, "callback_on_step_end_tensor_inputs": ["prompt_embeds"]}
    with (
        applied(SkipPolicy.for_pipeline(pipe, rules=RULES[1:], steps=5), pipe),
        pytest.raises(ExecutionError, match="samples have shape"),
    ):
        call(pipe, **options)
