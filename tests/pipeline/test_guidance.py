"""Guidance that rests: the UNet runs on half of the batch, and the pipeline gets what its arithmetic needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from compute.pipeline import Replay, RunFollower, Step, applied, following
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule
from compute.unet import executing, read_graph
from store.records import Action
from tests.pipeline.pipelines import STEPS, OtherPipeline, ddim, ddpm, embeddings, run_pipeline
from tests.pipeline.resting import LINE, NONE, REST, resting, rows_seen, whole_batches
from tests.pipeline.tiny_pipelines import PIPELINES, call, scheduler, stable_diffusion
from tests.unet.tiny import DEEP

from diffusers import DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler  # isort: skip

GUIDED = [name for name in PIPELINES if name != "unconditional"]
CLOSE: dict[str, Any] = {"atol": 2e-4, "rtol": 2e-4}
MIXED = {2: {"guidance": REST}, 3: {"guidance": LINE}, 5: {"guidance": LINE}, 6: {"guidance": NONE}}
BESIDE: dict[int, dict[str, Action]] = {
    1: {"guidance": REST, DEEP: REST},  # reads the conditional half of step 0
    2: {"guidance": REST},
    3: {"guidance": NONE, DEEP: REST},  # reads the half that step 2 computed
    5: {DEEP: REST},
    6: {"guidance": LINE, DEEP: LINE},
    7: {"guidance": REST, "mid_block.resnets.0": Action(name="reuse_delta"), "mid_block.attentions.0": NONE},
}


def rests_of(actions: Mapping[int, Mapping[str, Action]]) -> dict[int, Action]:
    return {step: row["guidance"] for step, row in actions.items() if "guidance" in row}


@pytest.mark.parametrize("name", GUIDED)
def test_no_guidance_at_all_is_a_scale_of_one(name: str) -> None:
    """Also where no step has shown which half is the conditional before guidance rests."""
    pipe = PIPELINES[name]()
    asked = {"num_inference_steps": 5} | ({"strength": 1.0} if name in ("image to image", "inpainting") else {})
    plain = call(pipe, guidance_scale=1.0, **asked)
    everywhere = resting(pipe, {step: {"guidance": NONE} for step in range(5)})
    with applied(everywhere, pipe), rows_seen(pipe.unet) as rows:
        torch.testing.assert_close(call(pipe, guidance_scale=5.0, **asked), plain, **CLOSE)
    assert rows == [2] * 5, "two pictures, not four rows"
    assert not torch.allclose(call(pipe, guidance_scale=5.0, **asked), plain, **CLOSE)


@pytest.mark.parametrize("name", GUIDED)
def test_a_difference_that_rests_is_what_whole_batches_give(name: str) -> None:
    pipe = PIPELINES[name]()
    asked = {"num_inference_steps": 5} | ({"strength": 1.0} if name in ("image to image", "inpainting") else {})
    actions = {1: {"guidance": REST}, 3: {"guidance": LINE}, 4: {"guidance": NONE}}
    with whole_batches(pipe.unet, rests_of(actions)):
        expected = call(pipe, guidance_scale=5.0, **asked)
    with applied(resting(pipe, actions), pipe), rows_seen(pipe.unet) as rows:
        torch.testing.assert_close(call(pipe, guidance_scale=5.0, **asked), expected, **CLOSE)
    assert rows == [4, 2, 4, 2, 2]


@pytest.mark.parametrize("options", [{"num_images_per_prompt": 2}, {"prompts": ("a cat",)}, {"guidance_rescale": 0.7}])
@pytest.mark.parametrize("kind", [DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler])
def test_batches_rescaling_and_schedulers(options: dict[str, Any], kind: Any) -> None:
    pipe = stable_diffusion(scheduler=scheduler(kind))
    given = {"guidance_scale": 5.0} | options
    if "num_images_per_prompt" in given:
        given["generator"] = [torch.Generator().manual_seed(seed) for seed in range(4)]

    def run() -> Tensor:
        if "generator" in given:
            given["generator"] = [torch.Generator().manual_seed(seed) for seed in range(4)]
        return call(pipe, **given)

    actions = {1: {"guidance": REST}, 3: {"guidance": NONE}, 4: {"guidance": LINE}}
    with whole_batches(pipe.unet, rests_of(actions)):
        expected = run()
    with applied(resting(pipe, actions), pipe):
        torch.testing.assert_close(run(), expected, **CLOSE)


@pytest.mark.parametrize("sampler", [ddpm(), ddim()])
def test_the_conditional_half_may_be_the_first_and_learn_sigma(unet: Any, sampler: Any) -> None:
    pipe = OtherPipeline(unet, sampler)
    for actions in (MIXED, {step: {"guidance": NONE} for step in range(STEPS)}):
        with whole_batches(unet, rests_of(actions), conditional=0):
            expected = run_pipeline(pipe)
        with applied(resting(pipe, actions, STEPS), pipe), rows_seen(unet) as rows:
            torch.testing.assert_close(run_pipeline(pipe), expected, **CLOSE)
        assert rows == [2 if step in actions else 4 for step in range(STEPS)]


def test_beside_other_components(unet: Any) -> None:
    """At a half step caches of full steps are read by their conditional half."""
    pipe = OtherPipeline(unet, ddpm())
    others = {step: {name: a for name, a in row.items() if name != "guidance"} for step, row in BESIDE.items()}
    with applied(resting(pipe, others, STEPS), pipe), whole_batches(unet, rests_of(BESIDE), conditional=0):
        expected = run_pipeline(pipe)
    with applied(resting(pipe, BESIDE, STEPS), pipe):
        torch.testing.assert_close(run_pipeline(pipe), expected, **CLOSE)
        torch.testing.assert_close(run_pipeline(pipe), expected, **CLOSE)


def test_a_constant_difference_that_rests_changes_nothing_but_rounding(unet: Any) -> None:
    """Order 0 and order 1; the difference of this UNet depends on the text alone."""
    pipe, forward = OtherPipeline(unet, ddpm()), unet.forward
    text = embeddings()

    def constant(x_t: Tensor, t: Tensor, **given: Any) -> Any:
        rows = len(x_t)
        output = forward(x_t, t, **{name: value[:rows] * 0 for name, value in text.items()}, return_dict=False)[0]
        shift = given["class_labels"].mean(1).view(-1, 1, 1, 1)
        return (torch.cat([output[:, :3] + shift, output[:, 3:]], dim=1),)

    unet.forward = constant
    try:
        plain = run_pipeline(pipe)
        with applied(resting(pipe, {s: {"guidance": LINE if s > 4 else REST} for s in (1, 2, 4, 6, 7)}, STEPS), pipe):
            torch.testing.assert_close(run_pipeline(pipe), plain, **CLOSE)
    finally:
        del unet.forward


def test_weights_of_differences(unet: Any) -> None:
    """[1] repeats, [2, -1] extrapolates from two steps in a row, at the step after them."""
    pipe = OtherPipeline(unet, ddpm())
    for action, weights in ((REST, (1.0,)), (LINE, (2.0, -1.0))):
        with applied(resting(pipe, {2: {"guidance": action}}, STEPS, guidance=3.0), pipe):
            plain = run_pipeline(pipe)
        weighted = {2: {"guidance": Action(name="reuse", weights=weights)}}
        with applied(resting(pipe, weighted, STEPS, guidance=3.0), pipe):
            torch.testing.assert_close(run_pipeline(pipe), plain, **CLOSE)


def test_what_comes_before_the_rest_is_bit_identical_and_runs_are_apart(unet: Any) -> None:
    pipe = OtherPipeline(unet, ddpm())
    made = resting(pipe, {5: {"guidance": REST}}, STEPS)
    states: list[Tensor] = []
    plain: list[Tensor] = []
    run_pipeline(pipe, at_step=lambda step, x_t: plain.append(x_t))
    with applied(made, pipe):
        alone = run_pipeline(pipe, at_step=lambda step, x_t: states.append(x_t))
    assert [torch.equal(a, b) for a, b in zip(states, plain, strict=True)] == [True] * 5 + [False] * 3
    with applied(made, pipe):
        run_pipeline(pipe, guidance_scale=7.0)
        assert torch.equal(run_pipeline(pipe), alone)


def test_the_scale_of_a_step_is_the_pipeline_s_own() -> None:
    """A callback may change it; without guidance at a step it says nothing."""
    pipe = stable_diffusion()

    def rising(own: Any, step: int, t: Any, given: dict[str, Any]) -> dict[str, Any]:
        own._guidance_scale = 3.0 + step
        return given

    actions = {1: {"guidance": REST}, 3: {"guidance": NONE}}
    with whole_batches(pipe.unet, rests_of(actions)):
        expected = call(pipe, guidance_scale=3.0, callback_on_step_end=rising)
    with applied(resting(pipe, actions), pipe):
        torch.testing.assert_close(call(pipe, guidance_scale=3.0, callback_on_step_end=rising), expected, **CLOSE)


@pytest.mark.parametrize("actions", [MIXED, BESIDE, {3: {"guidance": NONE}, 5: {"unet": REST}}])
def test_a_run_continued_at_any_step_is_bit_identical(unet: Any, actions: Any) -> None:
    pipe = OtherPipeline(unet, ddpm())
    resolved = resolve(read_graph(unet), Schedule(steps=STEPS, actions=actions))

    def run(start: int, outputs: Tensor | None) -> tuple[Tensor, list[Step]]:
        steps: list[Step] = []
        replay = None if outputs is None else Replay(start=start, outputs=outputs[:start])
        with executing(unet, resolved) as execution:
            follower = RunFollower(pipe, execution=execution, replay=replay, on_step=steps.append)
            with following(pipe, unet, follower):
                return run_pipeline(pipe), steps

    pictures, steps = run(0, None)
    outputs = torch.stack([step.output for step in steps])
    for start in range(1, STEPS):
        again, _ = run(resolved.earliest_source(start), outputs)
        assert torch.equal(again, pictures), f"continued at step {start}"


def test_half_of_the_work_is_done_and_predicted(unet: Any) -> None:
    pipe = OtherPipeline(unet, ddpm())
    resolved = resolve(read_graph(unet), Schedule(steps=STEPS, actions=BESIDE))
    assert resolved.flops(2) * 2 == resolved.flops(0) == resolved.flops(4)
    counted: list[int] = []
    with applied(resting(pipe, BESIDE, STEPS), pipe), sdpa_kernel(SDPBackend.MATH):
        run_pipeline(pipe)  # traces the forms of the calls
        with FlopCounterMode(display=False) as counter:
            run_pipeline(pipe, at_step=lambda step, x_t: counted.append(counter.get_total_flops()))
    sizes = {"sample_size": 8, "sequence_length": 5}
    of_row = resolve(read_graph(unet, **sizes), Schedule(steps=STEPS, actions=BESIDE))
    predicted = [4 * of_row.flops(step) for step in range(STEPS)]
    assert [b - a for a, b in zip([0, *counted], counted, strict=False)] == predicted
