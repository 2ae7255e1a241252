"""The training of sd-mini: every stage, exact resuming, and the pipeline that it writes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import compute.torchvision_ops  # noqa: F401  (before diffusers: its pipelines import torchvision)

from diffusers import AutoencoderKL, StableDiffusionPipeline  # isort: skip

from compute.models.mini.scenes.scene import AXES, BACKGROUNDS, OBJECTS, Scene
from compute.models.mini.sd_training.autoencoder import AutoencoderRecipe, AutoencoderTraining
from compute.models.mini.sd_training.captions import scene_labels
from compute.models.mini.sd_training.diffusion import DiffusionTraining
from compute.models.mini.sd_training.latents import LatentPool, PoolSettings
from compute.models.mini.sd_training.stages import (
    BUNDLED_AUTOENCODER,
    AutoencoderTooWeak,
    NotFresh,
    StageReport,
    train,
)
from tests.models.tiny_sd_recipe import PACE, TINY


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[StageReport]]:
    """The folder of a training that was not interrupted, and its reports."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("sd") / "whole"
    return folder, list(train(TINY, folder))


def checkpoint(path: Path) -> dict[str, torch.Tensor]:
    state = torch.load(path, weights_only=True)
    return {f"{part}.{name}": value for part in ("modules", "average") for name, value in state[part].items()}


def test_the_stages_follow_each_other(whole: tuple[Path, list[StageReport]]) -> None:
    steps = [(report.stage, report.iteration) for report in whole[1]]
    names = ("autoencoder", "decoder", "latents", "text", "diffusion")
    assert steps == [(name, i + 1) for name in names for i in range(TINY.length(name))]  # type: ignore[arg-type]
    assert all((report.loss is None) == (report.stage == "latents") for report in whole[1])


@pytest.mark.parametrize("stop_after", [1, 3, 5, 6, 7, 9, 12])
def test_a_stopped_and_resumed_training_equals_an_uninterrupted_one(
    whole: tuple[Path, list[StageReport]], tmp_path: Path, stop_after: int
) -> None:
    """Stopped in the autoencoder, after it, in and after its decoder, in latents, text encoder, and diffusion."""
    reports: list[StageReport] = []
    for report in train(replace(TINY, checkpoint_seconds=1e9), tmp_path, lambda: len(reports) >= stop_after):
        reports.append(report)
    assert reports == whole[1][:stop_after]
    list(train(TINY, tmp_path))
    for name in ("autoencoder.pt", "decoder.pt", "diffusion.pt"):
        expected, resumed = checkpoint(whole[0] / name), checkpoint(tmp_path / name)
        assert expected.keys() == resumed.keys()
        assert [key for key in expected if not torch.equal(expected[key], resumed[key])] == []


def test_the_decoder_goes_on_from_the_average_and_the_encoder_stays(whole: tuple[Path, list[StageReport]]) -> None:
    both, decoder = checkpoint(whole[0] / "autoencoder.pt"), checkpoint(whole[0] / "decoder.pt")
    names = [name for name in both if name.startswith("average.") and name.endswith("weight")]
    changed = {name for name in names if not torch.equal(both[name], decoder[name.replace("average.", "modules.")])}
    assert changed == {name for name in names if "decoder." in name or "post_quant_conv." in name}


def test_the_pipeline_is_loaded_by_diffusers_and_makes_a_picture(whole: tuple[Path, list[StageReport]]) -> None:
    pipe = StableDiffusionPipeline.from_pretrained(whole[0] / "pipeline", local_files_only=True)
    assert pipe.safety_checker is None
    pictures = pipe("a cat on a blue background", num_inference_steps=2, output_type="pt").images
    assert pictures.shape == (1, 3, 64, 64)
    assert pictures.isfinite().all()
    average = torch.load(whole[0] / "diffusion.pt", weights_only=True)["average"]
    assert torch.equal(pipe.unet.conv_in.weight, average["unet.conv_in.weight"].half().float())
    assert not [file for file in (whole[0] / "pipeline").rglob("*.json") if str(whole[0]) in file.read_text()]


def test_a_training_goes_on_from_a_pipeline(whole: tuple[Path, list[StageReport]], tmp_path: Path) -> None:
    started = replace(TINY, start=whole[0] / "pipeline")
    shutil.copytree(whole[0] / "autoencoder", tmp_path / "autoencoder")
    (tmp_path / "autoencoder.pt").touch()
    reports = []
    for report in train(started, tmp_path, lambda: bool(reports) and reports[-1].stage == "diffusion"):
        reports.append(report)
    assert [report.stage for report in reports] == ["latents", "latents", "diffusion"]
    pipe = StableDiffusionPipeline.from_pretrained(whole[0] / "pipeline", local_files_only=True)
    ours = torch.load(tmp_path / "diffusion.pt", weights_only=True)["modules"]
    for part, module in (("unet", pipe.unet), ("text", pipe.text_encoder)):
        for name, value in module.state_dict().items():
            assert torch.allclose(ours[f"{part}.{name}"], value, atol=1e-2)  # after one iteration


def test_latents_have_a_spread_of_1(whole: tuple[Path, list[StageReport]]) -> None:
    pool = LatentPool(whole[0] / "latents", TINY.diffusion.latents)
    assert pool.latents[: TINY.diffusion.latents.chunk].float().std().item() == pytest.approx(1, abs=1e-2)
    rows, scenes = pool.batch(np.random.default_rng(0), 3)
    assert rows.shape == (3, 4, 16, 16) and not any(scene.held_out for scene in scenes)


def test_a_weak_autoencoder_ends_the_training(tmp_path: Path) -> None:
    with pytest.raises(AutoencoderTooWeak, match=r"HaarPSI 0\.\d+, .* after 3 iterations, 3 of .*more than 0\.95"):
        list(train(replace(TINY, least_haarpsi=0.95), tmp_path))
    assert not (tmp_path / "autoencoder").exists()


def test_a_training_begins_with_the_bundled_autoencoder(tmp_path: Path) -> None:
    bundled = replace(TINY, fresh_autoencoder=False)
    reports = list(train(bundled, tmp_path))
    assert reports[0].stage == "latents"
    ours = AutoencoderKL.from_pretrained(BUNDLED_AUTOENCODER).state_dict()
    written = AutoencoderKL.from_pretrained(tmp_path / "pipeline" / "vae").state_dict()
    assert all(torch.equal(written[name], value) for name, value in ours.items())
    with pytest.raises(NotFresh, match=r"^--fresh-autoencoder: .* begun with the bundled autoencoder"):
        list(train(TINY, tmp_path))


def test_a_training_that_began_with_an_autoencoder_of_its_own_keeps_it(
    whole: tuple[Path, list[StageReport]], tmp_path: Path
) -> None:
    for report in train(replace(TINY, checkpoint_seconds=1e9), tmp_path, lambda: True):
        assert report.stage == "autoencoder"
    reports = list(train(replace(TINY, fresh_autoencoder=False), tmp_path))
    assert reports == whole[1][1:]


def test_a_few_iterations_improve_the_autoencoder() -> None:
    pace = replace(PACE, iterations=1000, batch=4, learning_rate=3e-3)
    training = AutoencoderTraining(AutoencoderRecipe(pace=pace), TINY.layout, torch.device("cpu"))
    losses = [training.step() for _ in range(40)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_a_few_iterations_improve_text_encoder_and_unet(whole: tuple[Path, list[StageReport]]) -> None:
    pace = replace(PACE, iterations=1000, batch=8, learning_rate=3e-3)
    recipe = replace(TINY.diffusion, text=replace(pace, iterations=40), pace=pace)
    pool = LatentPool(whole[0] / "latents", recipe.latents)
    training = DiffusionTraining(recipe, TINY.layout, pool, torch.device("cpu"))
    text = list(training.pretrain_text())
    assert sum(text[-5:]) < 0.9 * sum(text[:5])
    errors = [training.step() for _ in range(40)]
    assert sum(errors[-5:]) < 0.9 * sum(errors[:5])


def test_labels_are_what_the_caption_says() -> None:
    below = Scene(first="cat", second="key", relation="below", background="red")
    alone = Scene(first="cat", background="white")
    labels = scene_labels([below, alone])
    names = [*OBJECTS, None]
    assert [[names[i] for i in row] for row in labels.slots.tolist()] == [["key", "cat"], ["cat", None]]
    assert [AXES[i] for i in labels.axis.tolist()] == ["vertical", "alone"]
    assert [list(BACKGROUNDS)[i] for i in labels.background.tolist()] == ["red", "white"]


def test_no_scene_of_the_pool_is_held_out() -> None:
    scenes = PoolSettings(chunk=200).scenes(3)
    assert len(scenes) == 200 and not any(scene.held_out for scene in scenes)
    assert scenes != PoolSettings(chunk=200).scenes(4)  # another chunk has other scenes
