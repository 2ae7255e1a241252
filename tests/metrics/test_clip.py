"""The CLIP score with a tiny random model that the tests make: it equals transformers', or says why it is absent."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from compute.metrics import Sources, metrics
from compute.metrics.clip import CLIP_VARIABLE, clip_score
from compute.metrics.clip_model import ClipModel
from store.metric import MetricValues
from tests.metrics.tiny_clip import CONTEXT, SIDE, clip_parts, save_clip
from tests.pipeline.tiny_pipelines import tokenizer

PROMPTS = ("a cat", "a dog on grass", "grass on a cat")
SIZES = [(16, 16), (SIDE, SIDE), (64, 64), (48, 71), (71, 33)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CLIP model, for reading only."""
    return save_clip(tmp_path_factory.mktemp("clip") / "model")


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CLIP_VARIABLE, raising=False)


def levels(size: tuple[int, int], seed: int = 0) -> torch.Tensor:
    """Three pictures of 8-bit noise."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, 3, *size), generator=generator, dtype=torch.uint8)


def pictures(size: tuple[int, int] = (48, 48), seed: int = 0) -> torch.Tensor:
    return levels(size, seed) / 127.5 - 1


def transformers_inputs(shape: tuple[int, int], **options: Any) -> Any:
    """What transformers' own processor makes of the same pictures, as PIL pictures, and of PROMPTS."""
    _, processor = clip_parts(**options)
    images = [Image.fromarray(picture.permute(1, 2, 0).numpy()) for picture in levels(shape)]
    return processor(text=list(PROMPTS), images=images, return_tensors="pt", padding=True)


@pytest.mark.parametrize("size", SIZES)
def test_pictures_are_preprocessed_as_by_transformers(folder: Path, size: tuple[int, int]) -> None:
    """Up to one of 255 levels, since the processor's arithmetic is in integers."""
    ours = ClipModel.load(folder).preprocessing(pictures(size))
    difference = (ours - transformers_inputs(size)["pixel_values"]).abs() * 255 * 0.27
    assert difference.max() < 1.1
    assert difference.mean() < 0.02


def test_pictures_are_read_as_an_8_bit_file_would_be(folder: Path) -> None:
    model, between = ClipModel.load(folder), pictures() * 0.999 + 0.001
    rounded = ((between + 1) * 127.5).round() / 127.5 - 1
    assert not torch.equal(between, rounded)
    assert torch.equal(model.preprocessing(between), model.preprocessing(rounded))


def test_pictures_that_are_resized_out_of_proportion(tmp_path: Path) -> None:
    options = {"size": {"height": SIDE, "width": SIDE}}
    ours = ClipModel.load(save_clip(tmp_path, **options)).preprocessing(pictures((48, 71)))
    expected = transformers_inputs((48, 71), **options)["pixel_values"]
    assert ((ours - expected).abs() * 255 * 0.27).max() < 1.1


def test_a_folder_as_the_first_clip_models_were_published(folder: Path, tmp_path: Path) -> None:
    """Sizes are numbers, the vocabulary is a list with merges, and there is no file of the whole processor."""
    shutil.copytree(folder, tmp_path / "old")
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]
    for name in ("processor_config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "old" / name).unlink()
    _, processor = clip_parts()
    mean, deviation = processor.image_processor.image_mean, processor.image_processor.image_std
    stages = dict.fromkeys(("do_center_crop", "do_normalize", "do_resize"), True)
    settings = {"feature_extractor_type": "CLIPFeatureExtractor", "resample": 3, "image_mean": mean, **stages}
    files = {
        "preprocessor_config.json": json.dumps(settings | {"size": SIDE, "crop_size": SIDE, "image_std": deviation}),
        "vocab.json": json.dumps(vocabulary["vocab"]),
        "merges.txt": "\n".join(["#version: 0.2", *(" ".join(merge) for merge in vocabulary["merges"])]),
    }
    for name, text in files.items():
        (tmp_path / "old" / name).write_text(text)
    scores = [
        metrics(["clip_score"], Sources(clip=path)).compute(pictures(), pictures(), PROMPTS)["clip_score"].tolist()
        for path in (folder, tmp_path / "old")
    ]
    assert scores[0] == scores[1]


@pytest.mark.parametrize("size", SIZES)
def test_the_score_is_100_times_transformers_cosine(folder: Path, size: tuple[int, int]) -> None:
    network, _ = clip_parts()
    with torch.no_grad():
        output = network(**transformers_inputs(size))
    cosine = (output.image_embeds * output.text_embeds).sum(1).numpy()
    assert np.ptp(cosine) > 0.05, "a model that tells pictures and prompts apart"
    values = metrics(["clip_score"], Sources(clip=folder)).compute(pictures(size), pictures(size), PROMPTS)
    assert values["clip_score"] == pytest.approx(100 * cosine.clip(0), abs=0.2)


def test_the_score_is_between_0_and_100() -> None:
    picture = torch.tensor([[1.0, 0], [1, 0], [1, 0], [3, 4]])
    prompt = torch.tensor([[2.0, 0], [0, 1], [-1, 0], [1, 0]])
    assert clip_score(picture, prompt).tolist() == pytest.approx([100, 0, 0, 60])


def test_the_description_identifies_the_weights(folder: Path, tmp_path: Path) -> None:
    ready = metrics(["clip_score"], Sources(clip=folder))
    info = ready.descriptors["clip_score"].info
    assert (info.direction, info.low, info.high, info.paired) == ("higher", 0, 100, False)
    MetricValues(info=info, values=ready.compute(pictures(), pictures(), PROMPTS)["clip_score"])
    network, _ = clip_parts()
    shutil.copytree(folder, tmp_path / "copy")
    assert ClipModel.load(tmp_path / "copy").digest == info.weights
    with torch.no_grad():
        network.visual_projection.weight[0, 0] += 1
    network.save_pretrained(tmp_path / "copy")
    assert ClipModel.load(tmp_path / "copy").digest != info.weights


def test_many_pictures_are_embedded_as_few(folder: Path) -> None:
    model = ClipModel.load(folder)
    many = pictures((SIDE, SIDE)).repeat(30, 1, 1, 1)
    assert torch.allclose(model.embed_pictures(many)[-3:], model.embed_pictures(many[:3]), atol=1e-5)
    assert torch.allclose(model.embed_prompts(PROMPTS * 30)[-3:], model.embed_prompts(PROMPTS), atol=1e-5)


def test_other_prompts_of_the_same_pictures_have_other_scores(folder: Path) -> None:
    """Features of prompts are kept between batches."""
    ready, same = metrics(["clip_score"], Sources(clip=folder)), pictures()
    first, other, again = (
        ready.compute(same, same, prompts)["clip_score"] for prompts in (PROMPTS, PROMPTS[::-1], PROMPTS)
    )
    assert first.tolist() == again.tolist() != other.tolist()


def test_without_a_prompt_there_is_no_score(folder: Path) -> None:
    ready = metrics(["clip_score"], Sources(clip=folder))
    values = ready.compute(pictures(), pictures(), ("a cat", "", " "))["clip_score"]
    assert np.isnan(values).tolist() == [False, True, True]


def test_a_prompt_longer_than_the_context_is_cut_with_a_warning(folder: Path) -> None:
    model = ClipModel.load(folder)
    words = ["a", "cat", "on", "a", "dog", "on", "a", "cat"]
    with pytest.warns(UserWarning, match=f"CLIP reads the first {CONTEXT} tokens"):
        cut = model.embed_prompts([" ".join(words)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitting = model.embed_prompts([" ".join(words[: CONTEXT - 2])])  # begin and end of the text are tokens, too
    assert torch.allclose(cut, fitting)


def test_without_weights_the_score_is_absent_with_the_reason() -> None:
    ready = metrics(["clip_score", "mse"])
    assert "--clip" in ready.absent["clip_score"] and CLIP_VARIABLE in ready.absent["clip_score"]
    assert "\n" not in ready.absent["clip_score"]
    assert set(ready.compute(pictures(), pictures(), PROMPTS)) == {"mse"}
    MetricValues(info=ready.descriptors["clip_score"].info, absent=ready.absent["clip_score"])


def test_the_folder_is_found_in_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CLIP_VARIABLE, str(folder))
    assert metrics(["clip_score"]).absent == {}
    monkeypatch.setenv(CLIP_VARIABLE, str(folder / "nowhere"))
    assert "nowhere is not a folder" in metrics(["clip_score"]).absent["clip_score"]
    assert metrics(["clip_score"], Sources(clip=folder)).absent == {}, "an argument goes first"


def _other_type(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "siglip"}))


def _no_visual_projection(folder: Path) -> None:
    network, _ = clip_parts()
    state = network.state_dict()
    del state["visual_projection.weight"]
    network.save_pretrained(folder, state_dict=state)


def _fewer_embeddings(folder: Path) -> None:
    network, _ = clip_parts()
    network.text_model.resize_token_embeddings(len(tokenizer()) - 1)
    network.config.text_config.vocab_size = len(tokenizer()) - 1
    network.save_pretrained(folder)


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(clip_parts()[0].state_dict(), folder / "pytorch_model.bin")


def _truncated(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:5000])


def _processor(**options: Any) -> Callable[[Path], None]:
    return lambda folder: clip_parts(**options)[1].save_pretrained(folder)


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "no folder": (shutil.rmtree, "is not a folder"),
    "no configuration": (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
    "a list": (lambda folder: (folder / "config.json").write_text("[]") and None, "has no config.json"),
    "another model": (_other_type, "a model of type 'siglip'; a CLIPModel (type 'clip') is accepted"),
    "a layer missing": (_no_visual_projection, "lacks weights of a CLIPModel, such as visual_projection.weight"),
    "pickled weights": (_pickled, "can't be read as a CLIPModel"),
    "truncated weights": (_truncated, "can't be read as a CLIPModel"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer: tokenizer.json, or"),
    "a larger vocabulary": (_fewer_embeddings, "its tokenizer knows"),
    "another size": (_processor(size={"shortest_edge": 40}, crop_size={"height": 40, "width": 40}), "reads 32x32"),
    "a crop with a border": (_processor(size={"shortest_edge": 24}), "crops to 32x32"),
    "a processor without a stage": (_processor(do_normalize=False), "its image processor is not CLIP's"),
    "another filter": (_processor(resample=2), "its image processor is not CLIP's"),
}


@pytest.mark.parametrize("case", BAD)
def test_with_another_folder_the_score_is_absent(case: str, folder: Path, tmp_path: Path) -> None:
    change, message = BAD[case]
    shutil.copytree(folder, tmp_path / "changed")
    change(tmp_path / "changed")
    absent = metrics(["clip_score"], Sources(clip=tmp_path / "changed")).absent["clip_score"]
    assert message in absent
    assert "\n" not in absent and len(absent) < 500


def test_loading_does_not_change_the_global_generator(folder: Path, tmp_path: Path) -> None:
    """transformers initialises a layer that is missing at random."""
    shutil.copytree(folder, tmp_path / "changed")
    _no_visual_projection(tmp_path / "changed")
    before = torch.random.get_rng_state()
    ClipModel.load(folder)
    assert "lacks weights" in metrics(["clip_score"], Sources(clip=tmp_path / "changed")).absent["clip_score"]
    assert torch.equal(torch.random.get_rng_state(), before)
