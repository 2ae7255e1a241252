"""The pipeline as a folder, its text transformer, the trained weights and the judge that ships beside them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.models.glide.pipeline import GlidePipeline
from compute.models.glide.text_transformer import UnreadablePrompt
from compute.models.judges import judge_for
from compute.models.mini.glide_mini import build_pipeline, vocabulary
from compute.models.mini.judge.agreement import agreement
from compute.models.mini.judge.judge_training import accuracy
from compute.models.mini.judge.scene_judge import JUDGE_FILE, Judge, Reading, fidelity
from compute.models.mini.scenes.scene import Scene, captions
from compute.models.model import load_model
from compute.models.source import BUNDLED, GLIDE_MINI, ModelNotFound, ModelSource

MEGABYTE = 10**6


@pytest.fixture(scope="module")
def mini() -> GlidePipeline:
    return build_pipeline()


def test_every_caption_can_be_tokenized(mini: GlidePipeline) -> None:
    tokens, mask = mini.text_encoder.tokenize([*captions("train", 200, 0), *captions("held-out", 200, 0), ""])
    assert tokens.shape == mask.shape == (401, mini.text_encoder.config.length)
    assert not mask[-1].any()
    assert mask[:-1].any(1).all()


@pytest.mark.parametrize(
    ("prompt", "line"),
    [
        ("a cta on a blue background", "does not know the word 'cta'; near: cat"),
        ("a " * 17, "has 17 words, this model reads 16"),
    ],
)
def test_prompts_that_cannot_be_read_whole_are_refused(mini: GlidePipeline, prompt: str, line: str) -> None:
    with pytest.raises(UnreadablePrompt, match=line):
        mini.encode([prompt])


def test_words_after_the_caption_do_not_leak(mini: GlidePipeline) -> None:
    """Where the mask is false the padding embedding stands, whatever the token."""
    tokens, mask = mini.text_encoder.tokenize(["a cat on a blue background"])
    other = torch.where(mask, tokens, tokens + 5)
    for ours, theirs in zip(mini.text_encoder(tokens, mask), mini.text_encoder(other, mask), strict=True):
        assert torch.equal(ours, theirs)


def test_a_pipeline_survives_its_folder(mini: GlidePipeline, tmp_path: Path) -> None:
    mini.save_pretrained(tmp_path / "mini")
    assert not list((tmp_path / "mini").rglob("*.bin"))
    again = GlidePipeline.from_pretrained(tmp_path / "mini")
    for part in ("unet", "text_encoder"):
        ours, theirs = getattr(mini, part).state_dict(), getattr(again, part).state_dict()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert again.scheduler.config.variance_type == "learned_range"


def test_other_weights_are_refused(mini: GlidePipeline, tmp_path: Path) -> None:
    mini.save_pretrained(tmp_path / "mini")
    source = ModelSource.find(str(tmp_path / "mini"))
    (tmp_path / "mini" / "unet" / "config.json").write_text("{}")
    with pytest.raises(ModelNotFound, match="holds other weights"):
        load_model(source)


def test_a_folder_without_a_pipeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"give glide-mini, or a folder"):
        ModelSource.find(str(tmp_path))


def test_the_bundled_model_draws_what_its_prompts_say() -> None:
    """A smoke test of the shipped weights; docs/glide-mini.md has the figures on 1,000 prompts."""
    from store.records import Condition
    from store.sampler import SamplerSettings

    source = ModelSource.find(GLIDE_MINI)
    judge = judge_for(source)
    assert judge is not None
    prompts = captions("train", 12, 5)
    conditions = [Condition(prompt=prompt, seed=i, guidance=3.0) for i, prompt in enumerate(prompts)]
    pictures = load_model(source).pictures(conditions, SamplerSettings(name="ddpm", steps=25))
    assert judge.fidelity(pictures, prompts)["background"].mean() >= 0.75
    assert judge.fidelity(pictures, prompts[::-1])["all"].mean() <= 0.25


def test_model_and_judge_are_small() -> None:
    files = [file for file in BUNDLED[GLIDE_MINI].rglob("*") if file.is_file()] + [JUDGE_FILE]
    assert sum(file.stat().st_size for file in files) <= 30 * MEGABYTE


def test_the_judge_is_right_on_fresh_scenes() -> None:
    found = accuracy(Judge.load(), count=1000, seed=99)
    assert min(found.axis, found.objects, found.background) >= 0.99


def test_the_judge_does_not_see_objects_in_noise_or_on_empty_ground() -> None:
    rng = np.random.default_rng(0)
    noise = torch.from_numpy(rng.uniform(-1, 1, (50, 3, 32, 32)).astype(np.float32))
    names = ["a cat on a blue background"] * 50
    assert Judge.load().fidelity(noise, names)["all"].mean() == 0


def test_fidelity_of_a_prompt_from_another_world_is_not_a_number() -> None:
    found = Judge.load().fidelity(torch.zeros(2, 3, 32, 32), ["a photo of a corgi", "a cat on a blue background"])
    assert torch.isnan(found["all"]).tolist() == [True, False]


SCENE = Scene(first="cat", second="key", relation="right of", background="blue")


@pytest.mark.parametrize(
    ("reading", "shares"),
    [
        (("horizontal", "key", "cat", "blue"), (1, 1, 1, 1)),
        (("horizontal", "cat", "key", "blue"), (1, 0, 1, 0)),
        (("horizontal", "key", "fox", "blue"), (0.5, 1, 1, 0)),
        (("vertical", "key", "cat", "red"), (1, 0, 0, 0)),
        (("alone", "cat", None, "blue"), (0.5, 0, 1, 0)),
        (("horizontal", "unclear", "unclear", "blue"), (0, 0, 1, 0)),
    ],
)
def test_fidelity_counts_what_is_right(reading: tuple[str, str, str | None, str], shares: tuple[float, ...]) -> None:
    axis, first, second, background = reading
    seen = Reading(axis=axis, first=first, second=second, background=background)  # type: ignore[arg-type]
    found = fidelity(seen, SCENE)
    assert (found.objects, found.relation, found.background, found.all) == shares


@settings(deadline=None, max_examples=20)
@given(st.permutations(vocabulary()))
def test_word_order_matters(words: list[str]) -> None:
    """A caption and its mirror image are different inputs."""
    text = build_pipeline().text_encoder.eval()
    prompt = " ".join(words[:8])
    mirrored = " ".join(reversed(words[:8]))
    _, ours = text(*text.tokenize([prompt]))
    _, theirs = text(*text.tokenize([mirrored]))
    assert not torch.allclose(ours, theirs)


def test_the_judge_mostly_agrees_with_labels_made_by_eye() -> None:
    """On half-trained pictures; the figures are in docs/glide-mini.md."""
    found = agreement()
    assert found.all.count == 100
    assert found.objects.mean >= 0.85
    assert found.clear.mean >= 0.8


def test_a_folder_of_an_earlier_release_loads(tmp_path: Path) -> None:
    """Its index names the module in which the text transformer was then."""
    folder = tmp_path / "earlier"
    shutil.copytree(BUNDLED[GLIDE_MINI], folder)
    index = folder / "model_index.json"
    index.write_text(index.read_text().replace("compute.models.glide.text_transformer", "compute.models.text"))
    assert load_model(str(folder)).source.digest == ModelSource.find(GLIDE_MINI).digest
    assert GlidePipeline.from_pretrained(folder, low_cpu_mem_usage=False)("a cat on a blue background").images
