"""GLIDE's upsampler and inpainting stages, and its tokenizer, as pipelines; narrow networks with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from compute.images import image_of
from compute.models.glide.convert.commands import convert_glide
from compute.models.glide.inputs import PipelineInputError
from compute.models.glide.respacing import RespacingError, respaced_timesteps
from compute.models.glide.stage import GlideStage
from compute.models.glide.text_transformer import UnreadablePrompt
from compute.models.loading import load_model
from compute.models.long_prompts import long_prompts
from compute.pipeline import Replay, RunFollower, Step, following
from compute.pipeline.applied import applied
from compute.pipeline.schedulers import make_scheduler
from compute.policy.skip_policy import SkipPolicy
from store.sampler import SamplerSettings
from tests.models.glide_checkpoints import CONTEXT, OPTIONS, merges_file, saved

from diffusers import DDIMScheduler, DPMSolverMultistepScheduler  # isort: skip

PROMPTS = ["a cat", "on a cat on"]
LOW = torch.randint(0, 256, (2, 3, 8, 8), generator=torch.Generator().manual_seed(0)) / 127.5 - 1
FULL = F.interpolate(LOW, (32, 32), mode="nearest")
MASK = torch.zeros(1, 1, 32, 32)
MASK[..., 16:, 8:] = 1
LONG = "a cat on a cat on a cat"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All stages, converted together; pictures of 16x16, upsampled to 32x32."""
    place = tmp_path_factory.mktemp("glide")
    named = {option: str(saved(place, channels)) for channels, option in OPTIONS.items()}
    convert_glide(named, place / "glide", merges=merges_file(place))
    return place / "glide"


@pytest.fixture
def upsampler(folder: Path) -> Iterator[GlideStage]:
    pipe = _pipes(folder, "upsampler")
    before = pipe.scheduler
    yield pipe
    pipe.scheduler = before


_LOADED: dict[Path, Any] = {}


def _pipes(folder: Path, name: str) -> Any:
    place = folder / name
    if place not in _LOADED:
        _LOADED[place] = load_model(str(place)).pipe
    return _LOADED[place]


def run(pipe: Any, **arguments: Any) -> Tensor:
    given: dict[str, Any] = {"image": LOW, "num_inference_steps": 4, "seed": [1, 2], "output_type": "pt"}
    return pipe(PROMPTS, **(given | arguments)).images  # type: ignore[no-any-return]


def followed(pipe: Any, replay: Replay | None = None, **arguments: Any) -> tuple[Tensor, list[Step]]:
    steps: list[Step] = []
    with following(pipe, pipe.unet, RunFollower(pipe, on_step=steps.append, replay=replay)):
        return run(pipe, **arguments), steps


@pytest.mark.parametrize("scheduler", ["own", "ddim", "fast27", "DPM-Solver++"])
@pytest.mark.parametrize("kind", ["upsampler", "upsampler-inpaint"])
def test_a_run_continued_at_every_step_is_bit_identical(kind: str, scheduler: str, folder: Path) -> None:
    pipe, arguments = _pipes(folder, kind), {}
    before = pipe.scheduler
    if kind == "upsampler-inpaint":
        arguments |= {"original_image": FULL, "mask_image": MASK}
    if scheduler == "ddim":
        settings = SamplerSettings(name="ddim", steps=4, eta=0.5)
        pipe.scheduler = make_scheduler({"_class_name": "ExactDDPMScheduler", **before.config}, settings)
    elif scheduler == "fast27":
        arguments |= {"timesteps": respaced_timesteps("fast27")[::7]}
    elif scheduler == "DPM-Solver++":
        pipe.scheduler = DPMSolverMultistepScheduler.from_config(before.config)
    plain = run(pipe, **arguments)
    pictures, steps = followed(pipe, **arguments)
    assert torch.equal(pictures, plain) and len(steps) == 4
    outputs = torch.stack([step.output for step in steps])
    for start in range(1, len(steps) + 1):
        again, _ = followed(pipe, Replay(start=start, outputs=outputs[:start]), **arguments)
        assert torch.equal(again, plain), f"continued at step {start}"
    pipe.scheduler = before


def test_the_defaults_of_the_upsampler(upsampler: Any) -> None:
    steps: list[int] = []
    rows: list[Tensor] = []
    hook = upsampler.unet.register_forward_pre_hook(lambda _, args: rows.append(args[0]))
    latents = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    upsampler(PROMPTS, LOW, latents=latents, callback_on_step_end=lambda *args: steps.append(args[2]))
    hook.remove()
    assert steps == respaced_timesteps("fast27")
    assert all(row.shape == (2, 6, 32, 32) for row in rows), "no guidance: one row a prompt"
    torch.testing.assert_close(rows[0][:, :3], latents * 0.997)
    enlarged = F.interpolate(LOW, (32, 32), mode="bilinear", align_corners=False)
    torch.testing.assert_close(rows[0][:, 3:], enlarged)
    assert torch.equal(rows[-1][:, 3:], rows[0][:, 3:])


def test_pictures_in_every_form(upsampler: Any) -> None:
    expected = run(upsampler)
    images = [image_of(picture.numpy()) for picture in LOW]
    assert torch.equal(run(upsampler, image=images), expected)
    assert torch.equal(run(upsampler, image=list(LOW)), expected)
    assert torch.equal(run(upsampler, image=LOW + 1e-3 * (LOW.abs() < 0.9)), expected), "rounded as images are"
    one = run(upsampler, image=images[0])
    assert torch.equal(one[0], expected[0]) and not torch.equal(one[1], expected[1])
    assert not torch.allclose(run(upsampler, image=-LOW), expected, atol=1e-3)
    assert not torch.equal(run(upsampler, noise_scale=1.0), expected)
    assert not torch.equal(run(upsampler, guidance_scale=3.0), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image": None}, "image: an image, a tensor of shape (B, 3, height, width), or a list of them is accepted"),
        ({"image": torch.zeros(2, 1, 8, 8)}, "image: an image, a tensor of shape"),
        ({"image": torch.zeros(3, 3, 8, 8)}, "image: 3 for 2 prompts; give one, or one each"),
        ({"image": torch.full((1, 3, 8, 8), 1.5)}, "image: values from -1 to 1 are accepted"),
        ({"image": torch.full((1, 3, 8, 8), float("nan"))}, "image: values from -1 to 1 are accepted"),
        ({"image": torch.zeros(1, 3, 64, 64)}, "image: 64x64 pixels; at most 32x32 is accepted"),
        ({"image": [torch.zeros(3, 8, 8), torch.zeros(3, 4, 4)]}, "image: a list of pictures of one size is accepted"),
        ({"num_inference_steps": 0}, "num_inference_steps: 0 is not accepted; 1 to 1000 are"),
    ],
)
def test_bad_arguments(upsampler: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PipelineInputError) as caught:
        run(upsampler, **arguments)
    assert str(caught.value).startswith(message)


def test_a_scheduler_that_takes_no_timesteps_needs_a_number(upsampler: Any) -> None:
    upsampler.scheduler = DDIMScheduler.from_config(upsampler.scheduler.config, timestep_spacing="trailing")
    with pytest.raises(PipelineInputError, match="timesteps: a DDIMScheduler takes none; give num_inference_steps"):
        run(upsampler, num_inference_steps=None)
    assert run(upsampler).isfinite().all()


def test_a_policy_on_the_upsampler(upsampler: Any) -> None:
    policy = SkipPolicy.for_pipeline(
        upsampler,
        rules=[{"components": ["unet"], "action": "reuse", "window": [2, 3]}],
        steps=4,
        guidance=1.0,
        call={"prompt": "a cat", "image": image_of(LOW[0].numpy())},
    )
    calls: list[int] = []
    hook = upsampler.unet.conv_in.register_forward_hook(lambda *args: calls.append(1))
    with applied(policy, upsampler):
        run(upsampler)
    hook.remove()
    assert len(calls) == 3


@pytest.mark.parametrize("kind", ["inpaint", "upsampler-inpaint"])
def test_inpainting_keeps_what_is_outside_the_mask(kind: str, folder: Path) -> None:
    pipe = _pipes(folder, kind)
    picture = FULL if kind != "inpaint" else F.interpolate(LOW, (16, 16), mode="nearest")
    mask = MASK if kind != "inpaint" else MASK[..., ::2, ::2]
    named = {"image": picture} if kind == "inpaint" else {"original_image": picture}
    pictures = run(pipe, **named, mask_image=mask) * 2 - 1
    torch.testing.assert_close(pictures * (1 - mask), picture * (1 - mask), atol=1e-4, rtol=0)
    assert not torch.allclose(pictures * mask, picture * mask, atol=0.1)
    as_image = Image.fromarray((mask[0, 0].numpy() * 255).astype(np.uint8))
    assert torch.equal(run(pipe, **named, mask_image=as_image) * 2 - 1, pictures)


def test_a_long_prompt_is_cut_and_said_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = load_model(str(folder / "base"))
    tokens = model.pipe.tokenizer(LONG, verbose=False)["input_ids"]
    assert len(tokens) > CONTEXT
    found = long_prompts(model.pipe.components, [LONG, "a cat"])
    assert found is not None and (found.prompts, found.context) == ((LONG,), CONTEXT)
    model.pipe([LONG, LONG, "a cat"], num_inference_steps=2, seed=1)
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        f"prompt: the end of your input was truncated because GLIDE reads {CONTEXT} tokens, and this one has "
        f"{len(tokens)}: {LONG!r}"
    ]


def test_the_tokenizer_reads_any_text_in_lower_case(folder: Path) -> None:
    pipe = _pipes(folder, "base")
    lower, upper, other = pipe.encode(["a cat", "A CAT", "a dog"])[1]
    assert torch.equal(lower, upper) and not torch.allclose(lower, other)
    assert pipe.encode(["日本 <|endoftext|>"])[0].isfinite().all()
    with pytest.raises(UnreadablePrompt, match="its pipeline needs its tokenizer"):
        pipe.text_encoder.tokenize(["a cat"])


@pytest.mark.parametrize("respacing", ["", "fast28", "ddim", "ddim0", "10,", "-5", "1.5", "1001", "ddim900", "600,600"])
def test_respacings_that_do_not_exist(respacing: str) -> None:
    with pytest.raises(RespacingError, match="respacing: "):
        respaced_timesteps(respacing)


def test_respacings() -> None:
    assert respaced_timesteps("5", 9) == [8, 6, 4, 2, 0]
    assert respaced_timesteps("ddim50") == list(range(980, -1, -20))
    fast = respaced_timesteps("fast27")
    assert len(fast) == 27 and fast[0] == 997 and fast[-1] == 0 and sum(t < 400 for t in fast) == 20
