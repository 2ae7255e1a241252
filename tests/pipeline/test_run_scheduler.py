"""A policy is for what its scheduler does: noise levels, prediction type, solver. Another is refused, or warned of."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from compute.pipeline import applied, make_scheduler
from compute.policy.skip_policy import PolicyError, SkipPolicy
from store.sampler import SamplerSettings
from tests.pipeline.pipelines import MakePolicy, OtherPipeline, ddim, ddpm, run_pipeline
from tests.pipeline.tiny_pipelines import call, scheduler, stable_diffusion

from diffusers import (  # isort: skip
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
)

RULES = [{"components": "unet", "window": (2, 3), "action": {"name": "reuse", "space": "x0"}}]


def policy_for(kind: Any, **options: Any) -> SkipPolicy:
    pipe = stable_diffusion(scheduler=scheduler(kind, **options))
    made = SkipPolicy.for_pipeline(pipe, rules=RULES, steps=5, guidance=7.5)
    assert SkipPolicy.loads(made.dumps()) == made
    return made


def run(made: SkipPolicy, kind: Any, arguments: Any = None, **options: Any) -> None:
    pipe = stable_diffusion(scheduler=scheduler(kind, **options))
    with applied(made, pipe):
        call(pipe, **(arguments or {}))


@pytest.mark.parametrize(
    ("kind", "made_with", "run_with", "message"),
    [
        (DDIMScheduler, {}, {"beta_end": 0.02}, "beta_end=0.012, pipe.scheduler has 0.02"),
        (DDIMScheduler, {"beta_end": 0.02}, {}, "a noise schedule (betas) with alpha_bar"),
        (DDIMScheduler, {}, {"beta_schedule": "linear"}, "beta_schedule"),
        (DDIMScheduler, {"beta_schedule": "linear"}, {"beta_schedule": "squaredcos_cap_v2"}, "(betas)"),
        (DDIMScheduler, {}, {"trained_betas": [1e-4 * i for i in range(1, 1001)]}, "a noise schedule (betas)"),
        (DDIMScheduler, {}, {"prediction_type": "v_prediction"}, "prediction_type epsilon, and this run has v_pred"),
        (
            DDIMScheduler,
            {"prediction_type": "v_prediction"},
            {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True},
            "a noise schedule (betas)",
        ),
        (DDIMScheduler, {}, {"set_alpha_to_one": False}, "set_alpha_to_one=True, pipe.scheduler has False"),
        (DPMSolverMultistepScheduler, {}, {"solver_order": 1}, "solver_order=2, and this run has 1"),
        (DPMSolverMultistepScheduler, {}, {"algorithm_type": "sde-dpmsolver++"}, "algorithm_type"),
        (DPMSolverMultistepScheduler, {}, {"final_sigmas_type": "sigma_min"}, "final_sigmas_type"),
        (DPMSolverMultistepScheduler, {"thresholding": False}, {"thresholding": True}, "thresholding"),
        (EulerDiscreteScheduler, {"beta_end": 0.02}, {}, "a noise schedule (betas)"),
    ],
)
def test_what_another_scheduler_does_is_refused(
    kind: Any, made_with: dict[str, Any], run_with: dict[str, Any], message: str
) -> None:
    made = policy_for(kind, **made_with)
    run(made, kind, **made_with)
    with pytest.raises(PolicyError) as caught:
        run(made, kind, **run_with)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_another_eta_is_refused() -> None:
    made = policy_for(DDIMScheduler)
    with pytest.raises(PolicyError, match=r"call\.eta: the policy is for 0, this run has 0\.5"):
        run(made, DDIMScheduler, {"eta": 0.5})
    pipe = stable_diffusion(scheduler=scheduler(DDIMScheduler))
    made = SkipPolicy.for_pipeline(
        pipe, rules=RULES, steps=5, guidance=7.5, call={"prompt": "a cat", "eta": 0.5, "height": 16, "width": 16}
    )
    run(made, DDIMScheduler, {"eta": 0.5})


def test_options_that_change_nothing_are_accepted() -> None:
    made = policy_for(DPMSolverMultistepScheduler)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        run(made, DPMSolverMultistepScheduler, sample_max_value=3.0, dynamic_thresholding_ratio=0.5)


def test_a_resampled_policy_keeps_what_holds_for_any_number_of_steps() -> None:
    made = policy_for(DDIMScheduler, beta_end=0.02).resampled(4)
    assert made.scheduler is not None and not made.scheduler.sigmas
    run(made, DDIMScheduler, {"num_inference_steps": 4}, beta_end=0.02)
    with pytest.raises(PolicyError, match="alpha_bar"):
        run(made, DDIMScheduler, {"num_inference_steps": 4})


def test_a_policy_that_does_not_say_its_noise_schedule_warns_where_it_is_not_the_usual_one(
    unet: Any, pipe: OtherPipeline, policy: MakePolicy
) -> None:
    made = policy()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        with applied(made, pipe):
            run_pipeline(pipe)
        with applied(policy("bypass", sampler="ddim"), OtherPipeline(unet, ddim())) as _:
            pass
    other = OtherPipeline(unet, ddpm(beta_schedule="linear"))
    expected = r"does not say which noise schedule it is for; ddpm by itself has a noise schedule \(betas\)"
    with applied(made, other):
        with pytest.warns(UserWarning, match=expected):
            run_pipeline(other)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            run_pipeline(other)


def test_the_digest_of_a_policy_covers_what_its_scheduler_does() -> None:
    made = policy_for(DDIMScheduler)
    assert made.digest != made.model_copy(update={"scheduler": None}).digest
    assert made.scheduler is not None
    assert made.scheduler.difference(made.scheduler) is None


@pytest.mark.parametrize("name", ["ddpm", "ddim"])
def test_a_samplers_own_class_may_differ(unet: Any, name: str) -> None:
    """diffusers' DDIM for the project's own: the options of the classes differ, what they do does not."""
    from compute.pipeline.run_scheduler import run_scheduler
    from compute.pipeline.run_steps import RunSteps

    own = make_scheduler({}, SamplerSettings.model_validate({"name": name, "steps": 8}))
    others = ddpm() if name == "ddpm" else ddim()
    others.set_timesteps(8)
    steps = RunSteps(timesteps=tuple(map(float, own.timesteps.tolist())))
    shown = run_scheduler(own, steps).with_options("variance_type")
    assert shown.difference(run_scheduler(others, steps)) is None
    assert len(shown.alphas) == 8 and len(shown.trained) == 9


def test_clipping_counts(pipe: OtherPipeline) -> None:
    from compute.pipeline.run_scheduler import run_scheduler
    from compute.pipeline.run_steps import RunSteps

    shown = []
    for options in ({}, {"clip_sample_range": 2.0}, {"clip_sample": False}, {"variance_type": "fixed_small"}):
        made = ddpm(**options)
        made.set_timesteps(8)
        shown.append(run_scheduler(made, RunSteps(timesteps=tuple(map(float, made.timesteps.tolist())))))
    differences = [shown[0].difference(other) for other in shown]
    assert differences == [
        None,
        "clip 1.0, and this run has 2.0",
        "clip 1.0, and this run has None",
        "variance_type='learned_range', and this run has 'fixed_small'",
    ]
