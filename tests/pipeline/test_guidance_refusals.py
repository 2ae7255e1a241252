"""Where guidance cannot rest, one line says what was seen."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from compute.pipeline import applied
from compute.pipeline.batch_halves import mix_of
from compute.pipeline.run_steps import FollowError
from compute.policy.skip_policy import PolicyError
from compute.unet import ExecutionError
from tests.pipeline.pipelines import STEPS, OtherPipeline, ddpm, embeddings, initial_noise, run_pipeline
from tests.pipeline.resting import LINE, NONE, REST, resting
from tests.pipeline.tiny_pipelines import call, picture, scheduler, stable_diffusion
from tests.pipeline.tiny_pipelines import unet as tiny_unet
from tests.unet.tiny import DEEP

from diffusers import StableDiffusionInstructPix2PixPipeline  # isort: skip

LATER = {3: {"guidance": REST}}
AT_ONCE = {0: {"guidance": NONE}}


class Mixing(OtherPipeline):
    """A pipeline that mixes the halves of its batch as a test says: `mix(step, conditional, unconditional)`."""

    mix: Any = None

    def _guided(self, embeddings: dict[str, Tensor], x_t: Tensor, t: Tensor, calls: int) -> Tensor:
        step = self.used.timesteps.tolist().index(int(t))
        halves = self.unet(torch.cat([x_t] * 2), t, **embeddings).sample.chunk(2)
        mixed: Tensor = self.mix(step, *halves)
        return mixed


def mixing(unet: Any, mix: Any) -> Mixing:
    pipe = Mixing(unet, ddpm())
    pipe.mix = mix
    return pipe


def refusal(pipe: Any, actions: Any, **arguments: Any) -> str:
    with pytest.raises(FollowError) as caught, applied(resting(pipe, actions, STEPS, guidance=3.0), pipe):
        run_pipeline(pipe, **arguments)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("guidance: ")
    return str(caught.value)


@pytest.mark.parametrize("actions", [LATER, AT_ONCE])
def test_guidance_in_two_calls(unet: Any, actions: Any) -> None:
    line = refusal(OtherPipeline(unet, ddpm()), actions, calls=2)
    assert "2 rows whose halves have different samples" in line and "at step 0" in line


@pytest.mark.parametrize("actions", [LATER, AT_ONCE])
@pytest.mark.parametrize("prompts", [("a cat",), ("a cat", "a dog")])
def test_a_scale_of_one(actions: Any, prompts: tuple[str, ...]) -> None:
    pipe = stable_diffusion()
    with pytest.raises(FollowError, match="with guidance_scale 1"), applied(resting(pipe, actions), pipe):
        call(pipe, prompts, guidance_scale=1.0)


@pytest.mark.parametrize("actions", [LATER, AT_ONCE])
def test_equal_pictures_without_guidance(actions: Any) -> None:
    """Their batch has equal halves, but no unconditional one."""
    pipe = stable_diffusion()
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)).repeat(2, 1, 1, 1)
    refused = pytest.raises(FollowError, match="called with 2 rows for 2 pictures at step 0")
    with refused, applied(resting(pipe, actions), pipe):
        call(pipe, guidance_scale=1.0, latents=noise)


@pytest.mark.parametrize("actions", [LATER, AT_ONCE])
@pytest.mark.parametrize("prompts", [("a cat",), ("a cat", "a dog")])
def test_guidance_by_three_parts(actions: Any, prompts: tuple[str, ...]) -> None:
    pipe = stable_diffusion(StableDiffusionInstructPix2PixPipeline, tiny_unet(8))
    made = resting(pipe, actions)
    with pytest.raises(FollowError, match="guidance by three parts, it can't rest"), applied(made, pipe):
        call(pipe, prompts, image=[picture(row) for row in range(len(prompts))], guidance_scale=5.0)


def test_guidance_that_a_callback_ends() -> None:
    pipe = stable_diffusion(scheduler=scheduler())

    def end(own: Any, step: int, t: Any, given: dict[str, Any]) -> dict[str, Any]:
        if step == 1:
            own._guidance_scale = 0.0
            given["prompt_embeds"] = given["prompt_embeds"].chunk(2)[1]
        return given

    def run() -> None:
        call(pipe, guidance_scale=5.0, callback_on_step_end=end, callback_on_step_end_tensor_inputs=["prompt_embeds"])

    refused = pytest.raises(FollowError, match="at step 2 the UNet is called with 2 rows")
    with refused, applied(resting(pipe, {3: {"guidance": REST}}), pipe):
        run()
    with applied(resting(pipe, {1: {"guidance": REST}}), pipe):
        run()  # its guidance rests no more when it ends


@pytest.mark.parametrize("actions", [LATER, AT_ONCE])
def test_what_is_no_mix_of_the_halves(unet: Any, actions: Any) -> None:
    pipe = mixing(unet, lambda step, own, other: other + 3 * (own - other) + 0.1 * own * other)
    line = refusal(pipe, actions)
    assert "at step 0 the scheduler is given what is no mix" in line and "of the first half and" in line


@pytest.mark.parametrize("actions", [LATER, AT_ONCE])
def test_a_multiple_of_a_mix_is_none_without_rescaling(unet: Any, actions: Any) -> None:
    assert "no mix" in refusal(mixing(unet, lambda step, own, other: 1.1 * (other + 3 * (own - other))), actions)


def test_halves_that_change_places(unet: Any) -> None:
    def mix(step: int, own: Tensor, other: Tensor) -> Tensor:
        return other + 3 * (own - other) if step != 2 else own + 3 * (other - own)

    assert "at step 2 the halves of the batch have changed places" in refusal(mixing(unet, mix), LATER)


def test_a_scale_that_does_not_show_the_conditional_half(unet: Any) -> None:
    for scale in (0.5, 1.0, 0.0):
        line = refusal(OtherPipeline(unet, ddpm()), AT_ONCE, guidance_scale=scale)
        assert "guide by a scale above 1 at this step" in line and f"has the weight {1 - scale:g}:" in line


def test_pictures_of_one_batch_that_are_guided_the_other_way_round(unet: Any) -> None:
    def mix(step: int, own: Tensor, other: Tensor) -> Tensor:
        scale = torch.tensor([3.0, -2.0]).view(2, 1, 1, 1)
        return other + scale * (own - other)

    assert "conditional of some pictures only" in refusal(mixing(unet, mix), LATER)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda text: torch.cat(text.chunk(2)[::-1]), "has the prompts, or the half of the guidance, of another place"),
        (lambda text: text[:, :4] if text.ndim == 3 else text, "given encoder_hidden_states with another form"),
    ],
)
def test_the_call_of_a_half_step_is_compared_as_a_whole(unet: Any, change: Any, line: str) -> None:
    """With that of the step with both halves whose cache it reads."""

    class Changing(OtherPipeline):
        def _guided(self, embeddings: dict[str, Tensor], x_t: Tensor, t: Tensor, calls: int) -> Tensor:
            if self.used.timesteps.tolist().index(int(t)) == 1:
                embeddings = {name: change(value) for name, value in embeddings.items()}
            return super()._guided(embeddings, x_t, t, calls)

    pipe = Changing(unet, ddpm())
    made = resting(pipe, {1: {"guidance": REST, DEEP: REST}}, STEPS, guidance=3.0)
    with pytest.raises(ExecutionError, match=line), applied(made, pipe):
        run_pipeline(pipe)


def test_a_text_without_a_row_for_each_row(unet: Any) -> None:
    pipe = mixing(unet, lambda step, own, other: other + 3 * (own - other))
    forward = unet.forward

    def many(x_t: Tensor, t: Tensor, encoder_hidden_states: Tensor, **given: Any) -> Any:
        return forward(x_t, t, encoder_hidden_states=encoder_hidden_states[: len(x_t)], **given)

    unet.forward = many
    try:
        made = resting(pipe, AT_ONCE, STEPS, guidance=3.0)
        given = embeddings()
        given["encoder_hidden_states"] = given["encoder_hidden_states"].repeat(2, 1, 1)
        refused = pytest.raises(FollowError, match="encoder_hidden_states have 8 rows and its sample 4")
        with refused, applied(made, pipe):
            pipe(given, initial_noise([5, 6], (3, 8, 8)))
    finally:
        del unet.forward


@pytest.mark.parametrize(
    ("actions", "line"),
    [
        ({0: {"guidance": REST}}, "guidance can't reuse at step 0: no step before it computes guidance"),
        ({1: {"guidance": LINE}}, "only step 0 before it computes guidance"),
        ({1: {"guidance": REST}, 2: {"guidance": LINE}}, "two earlier steps that do are needed"),
        ({1: {"guidance": REST, "unet": REST}}, "unet can't reuse at step 1 beside guidance"),
        ({1: {"guidance": REST}, 2: {DEEP: REST}}, f"{DEEP} can't reuse at step 2: step 1, which it would read"),
    ],
)
def test_what_can_not_be_carried_out_is_refused_when_the_policy_is_loaded(unet: Any, actions: Any, line: str) -> None:
    pipe = OtherPipeline(unet, ddpm())
    with pytest.raises(PolicyError) as caught, applied(resting(pipe, actions, STEPS), pipe):
        pass
    assert line in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("conditional", [0, 1])
def test_the_mix_is_seen_in_any_dtype(dtype: torch.dtype, conditional: int) -> None:
    generator = torch.Generator().manual_seed(3)
    other = torch.randn(2, 4, 16, 16, generator=generator).to(dtype)
    own = (other.float() + 0.05 * torch.randn(other.shape, generator=generator)).to(dtype)
    halves = [own, other] if conditional == 0 else [other, own]
    mix = mix_of(*halves, other + 7.5 * (own - other), where="step 0")
    assert mix.conditional == conditional
    expected = torch.full((2,), 7.5 if conditional == 1 else -6.5, dtype=torch.float64)
    torch.testing.assert_close(mix.scale, expected, atol=0.1, rtol=0)


def test_equal_halves_show_nothing() -> None:
    own = torch.randn(2, 4, 8, 8)
    assert mix_of(own, own, own, where="step 0").conditional is None
    zeros = torch.zeros_like(own)
    assert mix_of(zeros, zeros, zeros, where="step 0").conditional is None
