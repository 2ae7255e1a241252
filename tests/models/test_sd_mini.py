"""sd-mini: its tokenizer, its layout, its bundled weights, and the judge on pictures of its size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import compute.torchvision_ops  # noqa: F401  (before diffusers: its pipelines import torchvision)

from diffusers import AutoencoderKL, StableDiffusionPipeline  # isort: skip
from hypothesis import given
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from compute.models.judges import judge_for
from compute.models.loading import load_model
from compute.models.mini.glide_mini import vocabulary
from compute.models.mini.judge.scene_fidelity import fidelity
from compute.models.mini.judge.scene_judge import SceneJudge
from compute.models.mini.scenes.render import render_batch
from compute.models.mini.scenes.scene import captions, random_scene
from compute.models.mini.sd_mini import PICTURE_SIDE, Layout, build_pipeline
from compute.models.mini.sd_tokenizer import (
    SEQUENCE_LENGTH,
    build_tokenizer,
    token_ids,
    word_count,
    write_vocabulary,
)
from compute.models.mini.sd_training.quality import prompt_fidelity, reconstruction_quality
from compute.models.mini.sd_training.stages import save_pipeline
from compute.models.source import BUNDLED, SD_MINI, ModelSource
from store.records import Condition
from store.sampler import SamplerSettings

TOKENIZER = build_tokenizer()
WORDS = range(3, word_count())
PIPE = build_pipeline(Layout())
MEGABYTE = 10**6


def padded(prompt: str) -> list[int]:
    ids: list[int] = TOKENIZER(prompt, padding="max_length", truncation=True, max_length=SEQUENCE_LENGTH).input_ids
    return ids


@pytest.mark.parametrize("split", ["train", "held-out"])
def test_captions_are_tokenized_word_by_word_and_back(split: str) -> None:
    for caption in captions(split, 200, seed=3):  # type: ignore[arg-type]
        assert TOKENIZER.tokenize(caption) == [f"{word}</w>" for word in caption.split()]
        assert TOKENIZER.decode(padded(caption), skip_special_tokens=True) == caption


def test_the_last_three_tokens_of_every_caption_are_padding() -> None:
    ids = padded("an umbrella left of an eggplant on an orange background")
    assert len(ids) == SEQUENCE_LENGTH
    assert ids[0] == TOKENIZER.bos_token_id
    assert ids[-4:] == [TOKENIZER.pad_token_id] * 4


@given(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=9).filter(lambda word: word not in vocabulary()))
def test_a_word_of_no_caption_is_seen_as_unknown(word: str) -> None:
    """It has tokens that no caption has: single letters and endings, or the unknown one."""
    ids = TOKENIZER(word, add_special_tokens=False).input_ids
    assert any(token not in WORDS for token in ids)


def test_tokens_of_no_caption_say_nothing() -> None:
    embeddings = PIPE.text_encoder.get_input_embeddings().weight
    silent = [token for token in range(len(token_ids())) if not embeddings[token].any()]
    assert silent == [TOKENIZER.unk_token_id, *range(word_count(), len(token_ids()))]


def test_the_files_of_earlier_transformers_make_the_same_tokenizer(tmp_path: Path) -> None:
    write_vocabulary(tmp_path)
    vocab, merges = str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt")
    read = CLIPTokenizer(vocab=vocab, merges=merges, unk_token="<|unknown|>")
    for text in ("a rocket above an apple on a gray background", "a bobcat, 3 zebras"):
        assert read(text).input_ids == TOKENIZER(text).input_ids


def test_the_layout_is_stable_diffusions() -> None:
    assert PIPE.vae_scale_factor == 4
    assert PIPE.unet.config.down_block_types == ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D")
    heads = {module.heads for module in PIPE.unet.modules() if hasattr(module, "to_q")}
    assert heads == {1, 3, 4}
    latents = PIPE.vae.encode(torch.zeros(1, 3, PICTURE_SIDE, PICTURE_SIDE)).latent_dist.mode()
    assert latents.shape == (1, 4, 16, 16)
    assert PIPE.vae.decode(latents).sample.shape == (1, 3, 64, 64)


def test_the_folder_is_small(tmp_path: Path) -> None:
    save_pipeline(build_pipeline(Layout()), tmp_path)
    size = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
    assert 15 * MEGABYTE < size < 25 * MEGABYTE
    assert (tmp_path / "tokenizer" / "vocab.json").is_file() and not list(tmp_path.rglob("*.bin"))


def test_the_judge_reads_pictures_of_64_pixels() -> None:
    """It averages them to 32; the bundled judge is right on nearly all rendered scenes of that size, too."""
    rng = np.random.default_rng(4)
    scenes = [random_scene(rng, "held-out" if i % 2 else "train") for i in range(200)]
    pictures = torch.from_numpy(render_batch(scenes, rng, PICTURE_SIDE))
    right = [fidelity(seen, scene).all for seen, scene in zip(SceneJudge.load().detect(pictures), scenes, strict=True)]
    assert np.mean(right) >= 0.99


def test_the_bundled_autoencoder_reconstructs_scenes() -> None:
    """docs/sd-mini.md has the figures on 1,000 scenes."""
    autoencoder = AutoencoderKL.from_pretrained(BUNDLED[SD_MINI] / "vae", local_files_only=True).eval()
    quality = reconstruction_quality(autoencoder, count=50, seed=2)
    assert quality.haarpsi > 0.9 and quality.judged.mean >= 0.96


def test_the_bundled_pipeline_samples_what_its_prompts_say() -> None:
    """docs/sd-mini.md has the figures on 1,000 prompts."""
    source, prompts = ModelSource.find(SD_MINI), captions("train", 8, seed=5)
    judge = judge_for(source)
    assert judge is not None
    conditions = [Condition(prompt=prompt, seed=i, guidance=3.0) for i, prompt in enumerate(prompts)]
    pictures = load_model(source).run(conditions, SamplerSettings(name="DDIMScheduler", steps=10))
    assert judge.fidelity(pictures, prompts)["objects"].mean() >= 0.75
    assert judge.fidelity(pictures, prompts[::-1])["objects"].mean() <= 0.25


def test_diffusers_loads_the_bundled_pipeline() -> None:
    pipe = StableDiffusionPipeline.from_pretrained(BUNDLED[SD_MINI], local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    assert pipe("a cat on a blue background", num_inference_steps=1).images[0].size == (64, 64)
    assert sum(file.stat().st_size for file in BUNDLED[SD_MINI].rglob("*") if file.is_file()) < 25 * MEGABYTE


class Perfect(torch.nn.Module):
    """An autoencoder that changes nothing, or adds noise."""

    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, noise: float) -> None:
        super().__init__()
        self.noise = noise

    def encode(self, pictures: torch.Tensor) -> Perfect:
        self.pictures, self.latent_dist = pictures, self
        return self

    def mode(self) -> torch.Tensor:
        return self.pictures

    def decode(self, latents: torch.Tensor) -> Perfect:
        self.sample = latents + self.noise * torch.randn_like(latents)
        return self


def test_a_perfect_reconstruction_is_perfect_and_a_noisy_one_is_not() -> None:
    perfect, noisy = (reconstruction_quality(Perfect(noise), count=20) for noise in (0.0, 0.5))  # type: ignore[arg-type]
    assert perfect.haarpsi > 0.999 and perfect.psnr > 50 and perfect.judged.mean == 1
    assert noisy.haarpsi < 0.9 and noisy.psnr < 20


def test_an_untrained_pipeline_obeys_no_prompt() -> None:
    PIPE.set_progress_bar_config(disable=True)
    shares = prompt_fidelity(PIPE, "train", count=2, steps=1)
    assert shares["all"].mean == 0 and shares["all"].count == 2
