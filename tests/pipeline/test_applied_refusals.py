"""Policies that do not match the pipeline or its run are refused before any picture is affected."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn

from compute.pipeline import applied
from compute.pipeline.run_steps import FollowError
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import PolicyError, SkipPolicy
from compute.unet import UnsupportedUNet, parameter_digests
from store.records import Action
from tests.pipeline.pipelines import REUSE, STEPS, MakePolicy, OtherPipeline, ddim, ddpm, run_pipeline
from tests.policy.policies import DIGESTS
from tests.unet.tiny import make_unet


def refusal(made: SkipPolicy, pipe: Any, **arguments: Any) -> str:
    """Return the message, one line, with which a policy is refused on entry or when the pipeline runs."""
    with pytest.raises((PolicyError, FollowError)) as caught, applied(made, pipe):
        run_pipeline(pipe, **arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_other_weights_are_refused(pipe: OtherPipeline, policy: MakePolicy) -> None:
    assert refusal(policy(unet=DIGESTS), pipe).startswith(
        "weights: the policy is for tiny (float32 0123456789ab), this UNet has others ("
    )
    other = make_unet()
    with torch.no_grad():
        other.conv_out.bias[0] += 1e-6
    assert refusal(policy(), OtherPipeline(other, ddpm())).endswith("load that model, or make a policy for this one")
    assert "the policy knows them in bfloat16; load the pipeline so, not in float32" in refusal(
        policy(unet={"bfloat16": DIGESTS["bfloat16"]}), pipe
    )


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(1, 40))
def test_another_number_of_steps_is_refused_and_the_suggestion_works(
    pipe: OtherPipeline, policy: MakePolicy, steps: int
) -> None:
    assume(steps != STEPS)
    made = policy("bypass")
    line = refusal(made, pipe, num_inference_steps=steps)
    assert line == (
        f"steps: the policy is for 8 steps, this run has {steps}: run with num_inference_steps=8, "
        f"or make one for {steps} steps: policy.resampled({steps})"
    )
    if steps > 1:
        with applied(made.resampled(steps), pipe):
            assert run_pipeline(pipe, num_inference_steps=steps).isfinite().all()


def test_other_schedulers_are_refused(unet: Any, pipe: OtherPipeline, policy: MakePolicy) -> None:
    import diffusers

    line = refusal(policy(), OtherPipeline(unet, ddim()))
    assert "the policy is for ddpm, pipe.scheduler is a DDIMScheduler: give the pipeline a DDPMScheduler" in line
    pndm: Any = diffusers.PNDMScheduler
    assert "pipe.scheduler is a PNDMScheduler" in refusal(policy(), OtherPipeline(unet, pndm()))
    line = refusal(policy(), OtherPipeline(unet, ddpm(timestep_spacing="leading")))
    assert "for linspace spacing, where step 0 is at timestep 999; in this run it is at 875" in line
    assert "timestep_spacing to 'linspace'" in line
    custom = [999, 800, 700, 600, 500, 300, 100, 0]
    assert "where step 1 is at timestep 856; in this run it is at 800" in refusal(policy(), pipe, timesteps=custom)
    assert "prediction_type is 'v_prediction'" in refusal(
        policy(), OtherPipeline(unet, ddpm(prediction_type="v_prediction"))
    )
    made = policy("bypass", sampler="ddim")
    assert "ddim with eta 0, this run has 0.5" in refusal(made, OtherPipeline(unet, ddim()), eta=0.5)
    with pytest.raises(PolicyError, match="spacing of ddim is trailing or leading, not linspace"):
        SkipPolicy.loads(made.dumps().replace('"trailing"', '"linspace"'))


def test_runs_that_the_policy_cannot_follow_are_refused(pipe: OtherPipeline, policy: MakePolicy) -> None:
    assert "the policy is for 8 steps, this run has 6" in refusal(policy("nothing"), pipe, first=2)
    assert "called outside a run; a run is followed through pipe.scheduler" in refusal(policy(), pipe, scheduler="new")
    with applied(policy(), pipe):
        run_pipeline(pipe)
        with pytest.raises(FollowError, match="called outside a run"):
            pipe.scheduler.step(torch.zeros(1, 6, 8, 8), 0, torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"up_blocks.7.resnets.0": REUSE},
            "rules: no component is called 'up_blocks.7.resnets.0'; near names: up_blocks.",
        ),
        ({"skip:conv_in": Action(name="bypass")}, "rules: skip:conv_in can't bypass at step 0"),
        ({"unet": REUSE}, "rules: unet can't reuse (eps) at step 0: no step before it computes unet"),
    ],
)
def test_rules_that_the_unet_cannot_carry_out_are_refused(
    pipe: OtherPipeline, policy: MakePolicy, row: dict[str, Action], message: str
) -> None:
    assert refusal(policy(Schedule(steps=STEPS, actions={0: row})), pipe).startswith(message)


def test_other_objects_and_other_networks_are_refused(policy: MakePolicy) -> None:
    class Empty:
        unet, scheduler = None, None

    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

    with pytest.raises(PolicyError, match="pipe: a Empty has no unet and scheduler"), applied(policy(), Empty()):
        pass
    other = Transformer()
    pipe = type("Pipe", (), {"unet": other, "scheduler": ddpm()})()
    made = policy("bypass", unet=parameter_digests(other))
    with pytest.raises(UnsupportedUNet, match="its unet is a Transformer"), applied(made, pipe):
        pass


def test_another_guidance_warns_once(pipe: OtherPipeline, policy: MakePolicy) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with applied(policy(), pipe):
            run_pipeline(pipe, guidance_scale=3)
    with applied(policy(), pipe):
        with pytest.warns(UserWarning, match="guidance: the policy was made for 3, this run has 5"):
            run_pipeline(pipe, guidance_scale=5.0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            run_pipeline(pipe, guidance_scale=5.0)


def test_a_pipeline_without_a_guidance_scale_does_not_warn(unet: Any, policy: MakePolicy) -> None:
    class WithoutGuidanceScale(OtherPipeline):
        guidance_scale = None  # type: ignore[assignment]

    pipe = WithoutGuidanceScale(unet, ddpm())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with applied(policy(), pipe):
            run_pipeline(pipe, guidance_scale=7.0)
