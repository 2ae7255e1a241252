"""glide-mini: its folder, its text transformer, its trained weights, and the scene judge."""

from __future__ import annotations

import shutil
from dataclasses import astuple, fields
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.metrics.judge import ASPECTS, Judge
from compute.models.glide.pipeline import GlidePipeline
from compute.models.glide.text_transformer import UnreadablePrompt
from compute.models.judges import judge_for
from compute.models.loading import load_model
from compute.models.mini.glide_mini import build_pipeline, vocabulary
from compute.models.mini.judge.agreement import agreement
from compute.models.mini.judge.judge_training import accuracy
from compute.models.mini.judge.scene_fidelity import DetectedScene, Fidelity, fidelity
from compute.models.mini.judge.scene_judge import JUDGE_FILE, SceneJudge
from compute.models.mini.scenes.render import render_batch
from compute.models.mini.scenes.scene import Scene, captions
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
def test_unreadable_prompts_are_refused(mini: GlidePipeline, prompt: str, line: str) -> None:
    with pytest.raises(UnreadablePrompt, match=line):
        mini.encode([prompt])


def test_tokens_after_the_caption_are_ignored(mini: GlidePipeline) -> None:
    """Where the mask is false the padding embedding replaces that of the token."""
    tokens, mask = mini.text_encoder.tokenize(["a cat on a blue background"])
    other = torch.where(mask, tokens, tokens + 5)
    for a, b in zip(mini.text_encoder(tokens, mask), mini.text_encoder(other, mask), strict=True):
        assert torch.equal(a, b)


def test_a_saved_pipeline_is_loaded_unchanged(mini: GlidePipeline, tmp_path: Path) -> None:
    mini.save_pretrained(tmp_path / "mini")
    assert not list((tmp_path / "mini").rglob("*.bin"))
    loaded = GlidePipeline.from_pretrained(tmp_path / "mini")
    for part in ("unet", "text_encoder"):
        saved_weights, weights = getattr(mini, part).state_dict(), getattr(loaded, part).state_dict()
        assert saved_weights.keys() == weights.keys()
        assert all(torch.equal(saved_weights[name], weights[name]) for name in weights)
    assert loaded.scheduler.config.variance_type == "learned_range"


def test_other_weights_are_refused(mini: GlidePipeline, tmp_path: Path) -> None:
    mini.save_pretrained(tmp_path / "mini")
    source = ModelSource.find(str(tmp_path / "mini"))
    (tmp_path / "mini" / "unet" / "config.json").write_text("{}")
    with pytest.raises(ModelNotFound, match="holds other weights"):
        load_model(source)


def test_a_folder_without_a_pipeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"give glide-mini, glide-mini-64, sd-mini, or a folder"):
        ModelSource.find(str(tmp_path))


def test_the_bundled_model_samples_what_its_prompts_say() -> None:
    """A smoke test of the bundled weights; docs/glide-mini.md has the figures on 1,000 prompts."""
    from store.records import Condition
    from store.sampler import SamplerSettings

    source = ModelSource.find(GLIDE_MINI)
    judge = judge_for(source)
    assert judge is not None
    prompts = captions("train", 12, 5)
    conditions = [Condition(prompt=prompt, seed=i, guidance=3.0) for i, prompt in enumerate(prompts)]
    pictures = load_model(source).run(conditions, SamplerSettings(name="ddpm", steps=25))
    assert judge.fidelity(pictures, prompts)["background"].mean() >= 0.75
    assert judge.fidelity(pictures, prompts[::-1])["all"].mean() <= 0.25


def test_model_and_judge_are_small() -> None:
    files = [file for file in BUNDLED[GLIDE_MINI].rglob("*") if file.is_file()] + [JUDGE_FILE]
    assert sum(file.stat().st_size for file in files) <= 30 * MEGABYTE


def test_the_judge_is_right_on_rendered_scenes() -> None:
    shares = accuracy(SceneJudge.load(), count=1000, seed=99)
    assert min(shares.axis, shares.objects, shares.background) >= 0.99


def test_the_judge_detects_no_objects_in_noise() -> None:
    rng = np.random.default_rng(0)
    noise = torch.from_numpy(rng.uniform(-1, 1, (50, 3, 32, 32)).astype(np.float32))
    names = ["a cat on a blue background"] * 50
    assert SceneJudge.load().fidelity(noise, names)["all"].mean() == 0


def test_the_fidelity_of_a_prompt_that_is_no_caption_is_nan() -> None:
    shares = SceneJudge.load().fidelity(torch.zeros(2, 3, 32, 32), ["a photo of a corgi", "a cat on a blue background"])
    assert torch.isnan(shares["all"]).tolist() == [True, False]


SCENE = Scene(first="cat", second="key", relation="right of", background="blue")


@pytest.mark.parametrize(
    ("detected", "shares"),
    [
        (("horizontal", "key", "cat", "blue"), (1, 1, 1, 1)),
        (("horizontal", "cat", "key", "blue"), (1, 0, 1, 0)),
        (("horizontal", "key", "fox", "blue"), (0.5, 1, 1, 0)),
        (("vertical", "key", "cat", "red"), (1, 0, 0, 0)),
        (("alone", "cat", None, "blue"), (0.5, 0, 1, 0)),
        (("horizontal", "unclear", "unclear", "blue"), (0, 0, 1, 0)),
    ],
)
def test_fidelity_is_the_share_of_what_is_right(
    detected: tuple[str, str, str | None, str], shares: tuple[float, ...]
) -> None:
    axis, first, second, background = detected
    scene = DetectedScene(axis=axis, first=first, second=second, background=background)  # type: ignore[arg-type]
    assert astuple(fidelity(scene, SCENE)) == shares


def test_fidelity_has_the_aspects_of_a_judge() -> None:
    assert tuple(field.name for field in fields(Fidelity)) == ASPECTS


@settings(deadline=None, max_examples=20)
@given(st.permutations(vocabulary()))
def test_word_order_matters(words: list[str]) -> None:
    """A caption and the same words in reverse have different encodings."""
    text = build_pipeline().text_encoder.eval()
    prompt = " ".join(words[:8])
    reversed_prompt = " ".join(reversed(words[:8]))
    _, pooled = text(*text.tokenize([prompt]))
    _, reversed_pooled = text(*text.tokenize([reversed_prompt]))
    assert not torch.allclose(pooled, reversed_pooled)


def test_the_judge_mostly_agrees_with_labels_made_by_eye() -> None:
    """On pictures of a half-trained model; the figures are in docs/glide-mini.md."""
    proportions = agreement()
    assert proportions.all.count == 100
    assert proportions.objects.mean >= 0.85
    assert proportions.clear.mean >= 0.8


def test_a_folder_of_an_earlier_release_loads(tmp_path: Path) -> None:
    """Its index names the former module of the text transformer."""
    folder = tmp_path / "earlier"
    shutil.copytree(BUNDLED[GLIDE_MINI], folder)
    index = folder / "model_index.json"
    index.write_text(index.read_text().replace("compute.models.glide.text_transformer", "compute.models.text"))
    assert load_model(str(folder)).source.digest == ModelSource.find(GLIDE_MINI).digest
    assert GlidePipeline.from_pretrained(folder, low_cpu_mem_usage=False)("a cat on a blue background").images


def test_the_scene_judge_is_a_judge() -> None:
    assert isinstance(SceneJudge.load(), Judge)


def test_the_distance_to_real_scenes_separates_scenes_from_noise() -> None:
    judge, prompts = SceneJudge.load(), captions("train", 40, 3)
    scenes = render_batch([Scene.parse(prompt) for prompt in prompts], np.random.default_rng(1), 32)
    noise = np.random.default_rng(2).uniform(-1, 1, scenes.shape).astype(np.float32)
    near, far = (judge.kid_to_real(torch.from_numpy(pictures), prompts) for pictures in (scenes, noise))
    assert len(near) == len(far) == 4
    assert max(map(abs, near)) < min(far)
    assert judge.kid_to_real(torch.from_numpy(scenes[:5]), prompts[:5]) == []
