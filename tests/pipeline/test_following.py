"""Runs of diffusers' own pipelines, with every scheduler that they accept, are followed and continued exactly."""

from __future__ import annotations

import functools
from typing import Any

import diffusers
import pytest
import torch

from compute.pipeline import Replay, RunFollower, Step, following
from compute.pipeline.step_coefficients import step_coefficients
from tests.pipeline.tiny_pipelines import PIPELINES, call, scheduler, stable_diffusion

NOT_FOLLOWED = {
    "latents are tokens, not numbers": "Amused BlockRefinement DiscreteDDIM EntropyBound VQDiffusion",
    "is for transformers, and its timesteps are fractions of a flow": (
        "FlowMapEulerDiscrete FlowMatchEulerDiscrete FlowMatchHeunDiscrete FlowMatchLCM Helios HeliosDMD "
        "LTXEulerAncestralRF MiniMaxH3 Piflow SCM"
    ),
    "is for other networks than UNets of pictures": "RFD4Proteina",
    "takes further arguments in its step": "CogVideoXDPM RePaint",
    "steps twice, by methods of its own": "ScoreSdeVe KarrasVe",
    "goes from the picture to noise": "DDIMInverse DPMSolverMultistepInverse",
    "takes ratios instead of timesteps": "DDPMWuerstchen",
    "is not accepted by Stable Diffusion's pipelines, which read its order": "UnCLIP",
    "needs the package torchsde, and draws its noise by itself": "DPMSolverSDE CosineDPMSolverMultistep",
}
REASONS = {f"{name}Scheduler": reason for reason, names in NOT_FOLLOWED.items() for name in names.split()}
OPTIONS: dict[str, dict[str, Any]] = {
    "EDMEulerScheduler": {"prediction_type": "epsilon"},
    "EDMDPMSolverMultistepScheduler": {"prediction_type": "epsilon"},
    "UnCLIPScheduler": {"beta_schedule": "squaredcos_cap_v2"},
}


def scheduler_names() -> list[str]:
    """Return the names of diffusers' scheduler classes."""
    return [name for name in dir(diffusers) if name.endswith("Scheduler") and not name.startswith("Flax")]


FOLLOWED = [name for name in scheduler_names() if name not in REASONS]


def recorded(pipe: Any, seeds: tuple[int, ...] | None = None, replay: Replay | None = None, **options: Any) -> Any:
    """Return the pictures of a call and its steps."""
    steps: list[Step] = []
    follower = RunFollower(pipe, on_step=steps.append, seeds=seeds, replay=replay)
    with following(pipe, pipe.unet, follower):
        pictures = call(pipe, **options)
    return pictures, steps


def test_every_scheduler_is_followed_or_named() -> None:
    assert set(scheduler_names()) == {*FOLLOWED, *REASONS}
    assert len(FOLLOWED) >= 20


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_run_continued_at_any_step_is_bit_identical(name: str) -> None:
    pipe = stable_diffusion(scheduler=scheduler(getattr(diffusers, name), **OPTIONS.get(name, {})))
    plain = call(pipe)
    pictures, steps = recorded(pipe)
    assert torch.isfinite(plain).all()
    assert torch.equal(pictures, plain), "following changes nothing"
    assert [step.index for step in steps] == list(range(len(steps)))
    outputs = torch.stack([step.output for step in steps])
    pictures, steps = recorded(pipe, seeds=(3, 4))
    outputs = torch.stack([step.output for step in steps])
    for start in range(len(steps) + 1):
        again, replayed = recorded(pipe, seeds=(3, 4), replay=Replay(start=start, outputs=outputs[:start]))
        assert torch.equal(again, pictures), f"continued at step {start}"
        assert all(torch.equal(a.x_t, b.x_t) for a, b in zip(steps, replayed, strict=True))


VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "SDE": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True}),
    "third order": ("DPMSolverMultistepScheduler", {"solver_order": 3, "use_lu_lambdas": True}),
    "singlestep SDE": ("DPMSolverSinglestepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "Karras": ("EulerDiscreteScheduler", {"use_karras_sigmas": True}),
    "Heun, Karras": ("HeunDiscreteScheduler", {"use_karras_sigmas": True}),
    "flow": ("UniPCMultistepScheduler", {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}),
    "zero SNR": ("DDIMScheduler", {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}),
    "PLMS": ("PNDMScheduler", {"skip_prk_steps": True}),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_continued_in_a_scheduler_s_variant_is_bit_identical(variant: str) -> None:
    name, options = VARIANTS[variant]
    pipe = stable_diffusion(scheduler=scheduler(getattr(diffusers, name), **options))
    pictures, steps = recorded(pipe, seeds=(3, 4))
    outputs = torch.stack([step.output for step in steps])
    assert all(torch.isfinite(step.pred_x0).all() for step in steps)
    for start in range(1, len(steps) + 1):
        assert torch.equal(recorded(pipe, (3, 4), Replay(start=start, outputs=outputs[:start]))[0], pictures)


@pytest.mark.parametrize("name", [*(name for name in FOLLOWED if name != "IPNDMScheduler"), "UnCLIPScheduler"])
def test_the_clean_sample_is_what_the_model_output_says(name: str) -> None:
    """The oracle is the scheduler's own `add_noise`, which IPNDM lacks: the noise must be taken off again."""
    x0 = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1)).double()
    noise = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2)).double()
    fresh = scheduler(getattr(diffusers, name), **OPTIONS.get(name, {}))
    fresh.set_timesteps(5)
    steps = len(fresh.timesteps)
    for index in (0, steps // 2, steps - 1):
        t = fresh.timesteps[index]
        x_t = fresh.add_noise(x0, noise, t[None])
        at = step_coefficients(fresh, index, float(t))
        torch.testing.assert_close(at.alpha * x0 + at.sigma * noise, x_t, rtol=1e-3, atol=1e-3)
        output = at.output_of_x0(x_t, x0)
        torch.testing.assert_close(at.eps(x_t, output), noise, rtol=1e-2, atol=1e-2)
        torch.testing.assert_close(at.pred_x0(x_t, output, clipped=False), x0, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("name", ["DDIMScheduler", "DPMSolverMultistepScheduler", "EulerDiscreteScheduler"])
def test_every_prediction_type_gives_the_scheduler_s_own_clean_sample(name: str, prediction: str) -> None:
    pipe = stable_diffusion(scheduler=scheduler(getattr(diffusers, name), prediction_type=prediction))
    own: list[torch.Tensor] = []
    step = pipe.scheduler.step

    def keep(*args: Any, **kwargs: Any) -> Any:
        result = step(*args, **(kwargs | {"return_dict": True}))
        own.append(getattr(result, "pred_original_sample", None))
        return (result.prev_sample,)

    if name == "DPMSolverMultistepScheduler":
        convert = pipe.scheduler.convert_model_output
        pipe.scheduler.convert_model_output = lambda *args, **kwargs: own.append(convert(*args, **kwargs)) or own[-1]
    else:
        pipe.scheduler.step = functools.wraps(step)(keep)
    _, steps = recorded(pipe)
    for mine, theirs in zip([s.pred_x0 for s in steps], own, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", PIPELINES)
def test_every_kind_of_pipeline_is_followed(kind: str) -> None:
    pipe = PIPELINES[kind]()
    plain = call(pipe)
    pictures, steps = recorded(pipe)
    assert torch.equal(pictures, plain)
    outputs = torch.stack([step.output for step in steps])
    for start in (1, len(steps) - 1):
        again, _ = recorded(pipe, replay=Replay(start=start, outputs=outputs[:start]))
        if kind != "unconditional":  # DDPMPipeline gives its generator to every step, which has drawn less by then
            assert torch.equal(again, pictures)


@pytest.mark.parametrize("strength", [0.4, 0.8])
def test_a_run_that_begins_in_the_middle_has_its_own_step_0(strength: float) -> None:
    pipe = PIPELINES["image to image"]()
    plain = call(pipe, strength=strength)
    pictures, steps = recorded(pipe, strength=strength)
    assert torch.equal(plain, pictures)
    assert len(steps) == round(5 * strength)
    assert steps[0].index == 0
