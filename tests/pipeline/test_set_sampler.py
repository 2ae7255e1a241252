"""Policies over samplers: plain sampling with any scheduler, set on a pipeline, applied, and refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import skipscope
from compute.pipeline import applied
from compute.pipeline.call import CallError
from compute.pipeline.schedulers import SamplerError
from compute.policy.skip_policy import PolicyError, SkipPolicy
from store.sampler import SamplerSettings
from tests.pipeline.tiny_glide import tiny_glide
from tests.pipeline.tiny_pipelines import TRAINED, call, scheduler, stable_diffusion, unconditional

import diffusers  # isort: skip

STEPS = 4
BASE = TRAINED | {"timestep_spacing": "leading", "steps_offset": 1}
SAMPLERS: list[tuple[str, dict[str, Any]]] = [
    ("DDPMScheduler", {}),
    ("DDIMScheduler", {"timestep_spacing": "trailing"}),
    ("DPMSolverMultistepScheduler", {}),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    ("UniPCMultistepScheduler", {"timestep_spacing": "linspace"}),
    ("DEISMultistepScheduler", {}),
    ("EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
    ("EulerAncestralDiscreteScheduler", {}),
    ("PNDMScheduler", {"skip_prk_steps": True}),
    ("HeunDiscreteScheduler", {}),
    ("LMSDiscreteScheduler", {}),
]
BROKEN = ("EulerAncestralDiscreteScheduler", {"use_karras_sigmas": True})
OF_GLIDE = [
    (name, options | ({"timestep_spacing": "trailing"} if name == "PNDMScheduler" else {}))
    for name, options in SAMPLERS
    if name not in BROKEN and options not in BROKEN
]
"""Without those that break on its noise schedule, as a test below shows."""
UNEVEN = (981, 800, 410, 30)


@pytest.mark.parametrize(("name", "options"), SAMPLERS, ids=lambda value: str(value))
def test_the_pictures_are_those_of_the_scheduler(name: str, options: dict[str, Any], tmp_path: Any) -> None:
    pipe = stable_diffusion(scheduler=scheduler())
    made = skipscope.methods.plain(pipe, sampler=name, steps=STEPS, options=options, guidance=4.0)
    assert type(pipe.scheduler).__name__ == "DDIMScheduler", "the pipeline is as before"
    made.save(tmp_path / "policy.json")
    policy = SkipPolicy.load(tmp_path / "policy.json")
    assert policy == made and not policy.rules and policy.sampler.asked_steps == STEPS
    arguments = skipscope.set_sampler(policy, pipe)
    assert arguments == {"num_inference_steps": STEPS, "guidance_scale": 4.0}
    with applied(policy, pipe):
        pictures = call(pipe, **arguments)
    by_hand = stable_diffusion(scheduler=getattr(diffusers, name).from_config(BASE, **options))
    assert torch.equal(pictures, call(by_hand, num_inference_steps=STEPS, guidance_scale=4.0))


@pytest.mark.parametrize(("name", "options"), [("ddpm", {}), ("ddim", {}), *OF_GLIDE], ids=lambda value: str(value))
def test_a_model_of_a_learned_sigma(tiny_unet: Any, name: str, options: dict[str, Any]) -> None:
    """Samplers that do not read a learned sigma are not given it, so the pictures are finite and in range."""
    pipe = tiny_glide(tiny_unet)
    policy = skipscope.methods.plain(pipe, sampler=name, steps=STEPS, options=options or None)
    arguments = skipscope.set_sampler(policy, pipe)
    with applied(policy, pipe):
        pictures = pipe("a cat", seed=1, output_type="pt", **arguments).images
    assert pictures.shape == (1, 3, 16, 16) and torch.isfinite(pictures).all()
    assert torch.equal(pictures, pipe("a cat", seed=1, output_type="pt", **arguments).images)


def test_samplers_set_one_after_the_other_leave_nothing_to_the_next() -> None:
    pipe = stable_diffusion()
    first = skipscope.methods.plain(
        pipe, sampler="EulerDiscreteScheduler", steps=3, options={"use_karras_sigmas": True}
    )
    second = skipscope.methods.plain(pipe, sampler="DPMSolverMultistepScheduler", steps=3)
    skipscope.set_sampler(first, pipe)
    assert pipe.scheduler.config.use_karras_sigmas
    assert skipscope.methods.plain(pipe, sampler="DPMSolverMultistepScheduler", steps=3) == second
    arguments = skipscope.set_sampler(second, pipe)
    assert not pipe.scheduler.config.use_karras_sigmas
    with applied(second, pipe):
        call(pipe, **arguments)
    with applied(first, pipe), pytest.raises(PolicyError, match=r"skipscope.set_sampler\(policy, pipe\)"):
        call(pipe, **arguments)


@pytest.mark.parametrize("name", ["ddim", "ddpm", "DDPMScheduler", "DPMSolverMultistepScheduler"])
def test_uneven_timesteps(name: str) -> None:
    pipe = stable_diffusion()
    policy = skipscope.methods.plain(pipe, sampler=name, timesteps=UNEVEN)
    assert policy.timesteps == policy.sampler.timesteps == UNEVEN and policy.sampler.steps == len(UNEVEN)
    policy = SkipPolicy.loads(policy.dumps())
    arguments = skipscope.set_sampler(policy, pipe)
    assert arguments["timesteps"] == list(UNEVEN) and "num_inference_steps" not in arguments
    ran: list[int] = []
    hook = pipe.unet.register_forward_pre_hook(lambda module, args: ran.append(int(args[1])))
    with applied(policy, pipe):
        pictures = call(pipe, num_inference_steps=None, **arguments)
    hook.remove()
    assert tuple(ran) == UNEVEN and torch.isfinite(pictures).all()
    with pytest.raises(PolicyError, match="the policy lists its own 4; make one for 3 steps"):
        policy.resampled(3)


def test_sigmas_where_the_class_takes_them() -> None:
    pipe = stable_diffusion()
    policy = skipscope.methods.plain(pipe, sampler="EulerDiscreteScheduler", sigmas=(14.0, 3.5, 0.5, 0.0))
    arguments = skipscope.set_sampler(SkipPolicy.loads(policy.dumps()), pipe)
    assert arguments["sigmas"] == [14.0, 3.5, 0.5, 0.0] and policy.sampler.steps == 3
    with applied(policy, pipe):
        assert torch.isfinite(call(pipe, num_inference_steps=None, **arguments)).all()


def test_timesteps_of_a_call_stay_with_its_policy() -> None:
    pipe = stable_diffusion(scheduler=scheduler(diffusers.DPMSolverMultistepScheduler))
    given = {"prompt": "a cat", "timesteps": list(UNEVEN), "height": 16, "width": 16}
    policy = SkipPolicy.for_pipeline(pipe, rules=(), steps=len(UNEVEN), call=given)
    assert policy.sampler.timesteps == UNEVEN
    arguments = skipscope.set_sampler(policy, pipe)
    with applied(policy, pipe):
        call(pipe, num_inference_steps=None, **arguments)


def test_a_ddim_of_eta_gives_it_to_the_call() -> None:
    pipe = stable_diffusion()
    settings = SamplerSettings(name="ddim", steps=3, eta=0.5)
    arguments = skipscope.set_sampler(policy := skipscope.methods.plain(pipe, sampler=settings), pipe)
    assert arguments["eta"] == 0.5 and policy.sampler == settings
    with applied(policy, pipe):
        call(pipe, **arguments)


def test_a_pipeline_without_guidance_and_lists() -> None:
    pipe = unconditional()
    arguments = skipscope.set_sampler(skipscope.methods.plain(pipe, sampler="ddim", steps=3), pipe)
    assert arguments == {"num_inference_steps": 3}
    with pytest.raises(CallError, match=r"sampler.timesteps: a DDPMPipeline takes none"):
        skipscope.methods.plain(pipe, sampler="ddim", timesteps=(900, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sampler": "DDIMSchedule", "steps": 3}, "ddpm or ddim is accepted"),
        ({"sampler": "DDIMMScheduler", "steps": 3}, "diffusers has no DDIMMScheduler; near names: DDIMScheduler"),
        ({"sampler": "ddim"}, "steps: missing"),
        ({"sampler": "EDMEulerScheduler", "steps": 3}, "has no beta_schedule, and this model was trained with one"),
        ({"sampler": "FlowMatchEulerDiscreteScheduler", "steps": 3}, "has no prediction_type"),
        ({"sampler": "DDIMScheduler", "steps": 3, "options": {"timestep_spacing": "linspace"}}, "evenly spaced"),
        ({"sampler": "EulerDiscreteScheduler", "steps": 3, "options": {"karras": True}}, "has no 'karras'"),
        ({"sampler": "DEISMultistepScheduler", "timesteps": UNEVEN}, "timesteps: a DEISMultistepScheduler takes none"),
        (
            {"sampler": "DPMSolverMultistepScheduler", "sigmas": (9.0, 0.0)},
            "sigmas: a DPMSolverMultistepS.* takes none",
        ),
        ({"sampler": "DDPMScheduler", "timesteps": (10, 20)}, "timesteps: a DDPMScheduler refuses"),
        ({"sampler": "ddim", "steps": 1001}, "steps is 1001"),
        ({"sampler": "ddim", "steps": 3, "options": {"eta": 1}}, "options and sigmas belong to diffusers schedulers"),
    ],
)
def test_what_cannot_run_is_refused_in_one_line(arguments: dict[str, Any], message: str) -> None:
    pipe = stable_diffusion()
    before = pipe.scheduler
    with pytest.raises((PolicyError, SamplerError), match=message) as caught:
        skipscope.methods.plain(pipe, **arguments)
    assert "\n" not in str(caught.value) and pipe.scheduler is before


@pytest.mark.parametrize("prediction", ["v_prediction", "sample"])
@pytest.mark.parametrize(("name", "kind"), [("ddim", "DDIMScheduler"), ("ddpm", "DDPMScheduler")])
def test_own_samplers_of_models_that_predict_otherwise(prediction: str, name: str, kind: str) -> None:
    """At evenly spaced steps both are diffusers' own."""
    spacing = "trailing" if name == "ddim" else "linspace"
    pipe = stable_diffusion(scheduler=scheduler(prediction_type=prediction))
    policy = skipscope.methods.plain(pipe, sampler=name, steps=5)
    assert policy.scheduler is not None and policy.scheduler.prediction_type == prediction
    arguments = skipscope.set_sampler(policy, pipe)
    with applied(policy, pipe):
        pictures = call(pipe, **arguments)
    options = {"prediction_type": prediction, "timestep_spacing": spacing, "steps_offset": 0, "set_alpha_to_one": True}
    by_hand = stable_diffusion(scheduler=getattr(diffusers, kind).from_config(BASE, **options))
    torch.testing.assert_close(pictures, call(by_hand, guidance_scale=policy.guidance), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "options"),
    [("EulerAncestralDiscreteScheduler", {}), ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True})],
)
def test_what_a_noise_schedule_breaks_is_refused(tiny_unet: Any, name: str, options: dict[str, Any]) -> None:
    """GLIDE's first step has a signal of 5e-5: in float32 one divides by nothing, the other repeats timesteps."""
    with pytest.raises(PolicyError, match=f"sampler: a {name} cannot run 4 steps of this model's noise schedule: "):
        skipscope.methods.plain(tiny_glide(tiny_unet), sampler=name, steps=4, options=options)
