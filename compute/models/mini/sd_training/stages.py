"""The stages of sd-mini's training, one after the other, each resumed where an earlier run stopped.

The folder then holds `autoencoder.pt`, `decoder.pt` and `diffusion.pt` (checkpoints), `autoencoder/` and `latents/`
(finished stages) and `pipeline/` (the averaged weights of the last checkpoint).
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline

from compute.models.file_modes import apply_umask
from compute.models.mini.sd_mini import Layout
from compute.models.mini.sd_tokenizer import write_vocabulary
from compute.models.mini.sd_training.autoencoder import AutoencoderRecipe, AutoencoderTraining
from compute.models.mini.sd_training.diffusion import DiffusionRecipe, DiffusionTraining
from compute.models.mini.sd_training.latents import LatentPool, encode_chunk, write_latents
from compute.models.mini.sd_training.optimisation import Optimisation
from compute.models.mini.sd_training.quality import reconstruction_quality
from compute.models.source import BUNDLED, SD_MINI
from store.errors import SkipscopeError

Stage = Literal["autoencoder", "decoder", "latents", "text", "diffusion"]
PIPELINE_FOLDER = "pipeline"
BUNDLED_AUTOENCODER = BUNDLED[SD_MINI] / "vae"
_AUTOENCODER_FOLDER, _LATENTS_FOLDER = "autoencoder", "latents"


class AutoencoderTooWeak(SkipscopeError):
    """An autoencoder whose reconstructions are not good enough to train a UNet on its latents."""


@dataclass(frozen=True, kw_only=True)
class SdRecipe:
    """The settings that determine the trained weights."""

    autoencoder: AutoencoderRecipe = field(default_factory=AutoencoderRecipe)
    diffusion: DiffusionRecipe = field(default_factory=DiffusionRecipe)
    layout: Layout = field(default_factory=Layout)
    fresh_autoencoder: bool = False
    """Whether to train an autoencoder, too, instead of taking the bundled one."""
    start: Path | None = None
    """The folder of a pipeline whose text encoder and UNet are trained on, instead of new ones."""
    least_haarpsi: float = 0.95
    """That the autoencoder's reconstructions must exceed, or no UNet is trained."""
    least_judged: float = 0.98
    """The share of reconstructions in which the judge must see the whole scene, or no UNet is trained."""
    quality_count: int = 1000
    """Reconstructions that are compared."""
    checkpoint_seconds: float = 240

    def length(self, stage: Stage) -> int:
        """Return the number of a stage's iterations."""
        lengths: dict[Stage, int] = {
            "autoencoder": self.autoencoder.pace.iterations,
            "decoder": self.autoencoder.decoder.iterations,
            "latents": self.diffusion.latents.chunks,
            "text": self.diffusion.text.iterations,
            "diffusion": self.diffusion.pace.iterations,
        }
        return lengths[stage]


@dataclass(frozen=True, kw_only=True)
class StageReport:
    """An iteration of a stage that has just ended, counted from 1; its loss is None for latents, which have none."""

    stage: Stage
    iteration: int
    loss: float | None


class NotFresh(SkipscopeError):
    """A folder whose training goes on with another autoencoder than the one asked for."""


class Checkpoints:
    """Says when to write one: every so many seconds and at a stage's end; `stopping` is whether to stop after one."""

    def __init__(self, seconds: float, stopping: Callable[[], bool]) -> None:
        self._seconds, self.stopping, self._written_at = seconds, stopping, time.monotonic()

    def due(self, optimisation: Optimisation) -> bool:
        """Return whether to write one now."""
        due = time.monotonic() - self._written_at > self._seconds or optimisation.finished
        if due:
            self._written_at = time.monotonic()
        return due


def train(recipe: SdRecipe, folder: Path, stopping: Callable[[], bool] = lambda: False) -> Iterator[StageReport]:
    """Train what is left to train, and yield after every iteration, until `stopping` says so or all is done.

    A folder whose autoencoder's training has begun goes on with it. Raises AutoencoderTooWeak where that ends below its
    bars, NotFresh where the recipe wants a fresh autoencoder in a folder that has the bundled one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    checkpoints = Checkpoints(recipe.checkpoint_seconds, stopping)
    yield from _train_autoencoder(recipe, folder, device, checkpoints)
    if stopping():
        return
    autoencoder = AutoencoderKL.from_pretrained(folder / _AUTOENCODER_FOLDER).to(device).eval().requires_grad_(False)
    autoencoder.register_to_config(_name_or_path="")  # or the pipeline's files would name this machine's folder
    latents, settings = folder / _LATENTS_FOLDER, recipe.diffusion.latents
    for number in write_latents(latents, autoencoder, settings):
        yield StageReport(stage="latents", iteration=number + 1, loss=None)
        if stopping():
            return
    training = DiffusionTraining(recipe.diffusion, recipe.layout, LatentPool(latents, settings), device)
    yield from _train_diffusion(training, recipe.start, autoencoder, folder, checkpoints)


def _train_autoencoder(
    recipe: SdRecipe, folder: Path, device: torch.device, checkpoints: Checkpoints
) -> Iterator[StageReport]:
    file, finished = folder / "autoencoder.pt", folder / _AUTOENCODER_FOLDER
    if not file.exists() and not recipe.fresh_autoencoder:
        _take_bundled_autoencoder(finished)
    if finished.exists():
        if recipe.fresh_autoencoder and not file.exists():
            raise NotFresh(f"--fresh-autoencoder: {folder} was begun with the bundled autoencoder; give another folder")
        return
    training = AutoencoderTraining(recipe.autoencoder, recipe.layout, device)
    yield from _train_to_the_end("autoencoder", training, file, checkpoints)
    if training.optimisation.finished and not checkpoints.stopping():
        decoder = AutoencoderTraining(recipe.autoencoder, recipe.layout, device, trained=training.averaged())
        yield from _train_to_the_end("decoder", decoder, folder / "decoder.pt", checkpoints)
        if decoder.optimisation.finished and not checkpoints.stopping():
            _finish_autoencoder(decoder.averaged(), recipe, folder)


def _train_to_the_end(
    stage: Stage, training: AutoencoderTraining, file: Path, checkpoints: Checkpoints
) -> Iterator[StageReport]:
    state = training.optimisation
    state.resume(file)
    while not state.finished:
        loss = training.step()
        if checkpoints.due(state):
            state.save(file)
        yield StageReport(stage=stage, iteration=state.iteration, loss=loss)
        if checkpoints.stopping():
            state.save(file)
            return


def _take_bundled_autoencoder(finished: Path) -> None:
    """Copy the bundled autoencoder to where one that was trained would be, unless there is one."""
    if not finished.exists():
        temporary = finished.with_suffix(".new")
        shutil.copytree(BUNDLED_AUTOENCODER, temporary, dirs_exist_ok=True)
        temporary.replace(finished)


def _finish_autoencoder(autoencoder: AutoencoderKL, recipe: SdRecipe, folder: Path) -> None:
    """Measure the autoencoder, scale its latents to a standard deviation of 1, and save it if it reaches its bars."""
    quality = reconstruction_quality(autoencoder, count=recipe.quality_count)
    (folder / "autoencoder.json").write_text(json.dumps(quality.as_json(), indent=1) + "\n", encoding="utf-8")
    if quality.haarpsi <= recipe.least_haarpsi or quality.judged.mean < recipe.least_judged:
        raise AutoencoderTooWeak(
            f"autoencoder: HaarPSI {quality.haarpsi:.3f}, judged right {quality.judged.mean:.1%} after "
            f"{recipe.autoencoder.pace.iterations} iterations, {recipe.autoencoder.decoder.iterations} of the decoder; "
            f"a UNet needs more than {recipe.least_haarpsi} and at least {recipe.least_judged:.0%}: train it longer"
        )
    spread = encode_chunk(autoencoder, recipe.diffusion.latents, 0).float().std().item()
    autoencoder.register_to_config(scaling_factor=1 / spread)
    temporary = folder / f"{_AUTOENCODER_FOLDER}.new"
    autoencoder.save_pretrained(temporary)
    apply_umask(temporary)
    temporary.replace(folder / _AUTOENCODER_FOLDER)


def _train_diffusion(
    training: DiffusionTraining,
    start: Path | None,
    autoencoder: AutoencoderKL,
    folder: Path,
    checkpoints: Checkpoints,
) -> Iterator[StageReport]:
    state, file = training.optimisation, folder / "diffusion.pt"
    if not state.resume(file):
        if start is not None:
            training.begin_with(start)
        else:
            for iteration, loss in enumerate(training.pretrain_text(), start=1):
                yield StageReport(stage="text", iteration=iteration, loss=loss)
                if checkpoints.stopping():
                    return
        state.save(file)
    while not state.finished:
        loss = training.step()
        if checkpoints.due(state):
            state.save(file)
            save_pipeline(training.averaged_pipeline(autoencoder), folder / PIPELINE_FOLDER)
        yield StageReport(stage="diffusion", iteration=state.iteration, loss=loss)
        if checkpoints.stopping():
            state.save(file)
            return


def save_pipeline(pipe: StableDiffusionPipeline, folder: Path) -> None:
    """Write a pipeline to a folder, in half precision apart from the text encoder; `pipe` is changed.

    transformers loads weights in the precision of their file, diffusers in float32: of a text encoder in half precision
    the UNet would get tensors of another type than its own.
    """
    pipe.vae.half()
    pipe.unet.half()
    pipe.save_pretrained(folder)
    apply_umask(folder)
    write_vocabulary(folder / "tokenizer")
