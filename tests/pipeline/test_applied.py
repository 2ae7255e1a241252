"""A policy on a pipeline of other code gives what the project's own sampling loop gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compute.pipeline import applied, initial_noise, step_generators
from compute.policy.graph import ComponentGraph
from compute.policy.schedule import Schedule, ScheduleError
from compute.policy.skip_policy import PolicyError, SkipPolicy
from tests.pipeline.pipelines import (
    SCHEDULES,
    SEEDS,
    SHAPE,
    STEPS,
    MakePolicy,
    OtherPipeline,
    ddim,
    ddpm,
    embeddings,
    run_pipeline,
    sample_by_hand,
)
from tests.policy.graphs import step_actions
from tests.unet.tiny import make_unet

from diffusers.utils import BaseOutput  # isort: skip


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_policy_gives_what_a_loop_written_out_gives(
    unet: Any, graph: ComponentGraph, pipe: OtherPipeline, policy: MakePolicy, name: str
) -> None:
    made = policy(name)
    expected = sample_by_hand(unet, graph, made)
    with applied(made, pipe):
        runs = [run_pipeline(pipe), run_pipeline(pipe), run_pipeline(pipe, scheduler="deep copy")]
    assert torch.equal(runs[1], runs[0]) and torch.equal(runs[2], runs[0])
    torch.testing.assert_close(runs[0], expected, atol=1e-4, rtol=1e-4)
    plain = run_pipeline(pipe)
    assert torch.equal(plain, runs[0]) == (name == "nothing"), "afterwards everything is computed"


@pytest.mark.parametrize("name", SCHEDULES)
def test_guidance_in_two_calls(
    unet: Any, graph: ComponentGraph, pipe: OtherPipeline, policy: MakePolicy, name: str
) -> None:
    made = policy(name)
    with applied(made, pipe):
        pictures = run_pipeline(pipe, calls=2)
    torch.testing.assert_close(pictures, sample_by_hand(unet, graph, made), atol=1e-4, rtol=1e-4)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_policy_gives_what_the_own_loop_gives(
    unet: Any, graph: ComponentGraph, pipe: OtherPipeline, policy: MakePolicy, data: st.DataObject
) -> None:
    rows = {step: data.draw(step_actions(graph, order=2)) for step in range(2, STEPS) if data.draw(st.booleans())}
    made = policy(Schedule(steps=STEPS, actions=rows))
    try:
        expected = sample_by_hand(unet, graph, made)
    except ScheduleError:
        with pytest.raises(PolicyError, match=r"rules: "), applied(made, pipe):
            pass
        return
    with applied(made, pipe):
        assert torch.equal(run_pipeline(pipe), expected)


@pytest.mark.parametrize("name", SCHEDULES)
def test_diffusers_own_ddim(unet: Any, graph: ComponentGraph, policy: MakePolicy, name: str) -> None:
    """The own loop's DDIM rounds its coefficients differently."""
    pipe, made = OtherPipeline(unet, ddim()), policy(name, sampler="ddim")
    with applied(made, pipe):
        pictures = run_pipeline(pipe, use_clipped_model_output=True)
    torch.testing.assert_close(pictures, sample_by_hand(unet, graph, made, "ddim"), atol=2e-3, rtol=2e-3)


def test_the_unet_does_not_run_at_dropped_steps(unet: Any, pipe: OtherPipeline, policy: MakePolicy) -> None:
    ran: list[int] = []
    hook = unet.conv_in.register_forward_hook(lambda *_: ran.append(1))
    try:
        with applied(policy(), pipe):
            for calls in (1, 2):
                run_pipeline(pipe, calls=calls)
    finally:
        hook.remove()
    assert len(ran) == 4 + 2 * 4, "4 of 8 steps run"


def test_the_unet_returns_nan_at_dropped_steps(pipe: OtherPipeline, policy: MakePolicy) -> None:
    """So code that reads the UNet's output at a dropped step cannot mistake it for one. It has the requested type."""
    outputs: list[Any] = []
    hook = pipe.unet.register_forward_hook(lambda _, args, output: outputs.append(output))
    with applied(policy(), pipe):
        run_pipeline(pipe)
        run_pipeline(pipe, calls=2)
    hook.remove()
    assert [step for step, output in enumerate(outputs[:STEPS]) if output[0].isnan().all()] == [2, 4, 5, 7]
    assert {type(output) for output in outputs[:STEPS]} == {tuple}
    assert all(isinstance(output, BaseOutput) for output in outputs[STEPS:])
    assert {output[0].shape for output in outputs[:STEPS]} == {(4, 6, 8, 8)}


def test_half_precision(policy: MakePolicy) -> None:
    """The scheduler's input and output keep the pipeline's dtype, and its weights are recognised."""
    half = make_unet().to(torch.bfloat16)
    pipe = OtherPipeline(half, ddpm())
    with applied(policy(), pipe):
        pictures = pipe(
            {name: value.bfloat16() for name, value in embeddings().items()},
            initial_noise(SEEDS, SHAPE, dtype=torch.bfloat16),
            noise=lambda step: step_generators(SEEDS, step),
            num_inference_steps=STEPS,
        )
    assert pictures.dtype == torch.bfloat16
    assert pictures.isfinite().all()


def test_the_policys_own_timesteps_are_accepted(pipe: OtherPipeline, policy: MakePolicy) -> None:
    with applied(policy(), pipe):
        expected = run_pipeline(pipe)
        timesteps = pipe.scheduler.timesteps.tolist()
        assert torch.equal(run_pipeline(pipe, timesteps=timesteps), expected)


def test_a_policy_from_a_file_does_the_same(pipe: OtherPipeline, policy: MakePolicy) -> None:
    with applied(policy("all"), pipe):
        expected = run_pipeline(pipe)
    with applied(SkipPolicy.loads(policy("all").dumps()), pipe):
        assert torch.equal(run_pipeline(pipe), expected)
