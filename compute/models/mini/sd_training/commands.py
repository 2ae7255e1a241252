"""The command line's training of sd-mini, with progress bars, a log and sample sheets, and its quality."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from itertools import chain, groupby
from pathlib import Path
from typing import Any, TextIO

from diffusers import StableDiffusionPipeline
from diffusers.utils.logging import disable_progress_bar

from compute.models.mini.captioned_sheet import write_captioned_sheet
from compute.models.mini.scenes.scene import SPLITS, captions
from compute.models.mini.sd_training.quality import prompt_fidelity, reconstruction_quality, sampled_pictures
from compute.models.mini.sd_training.stages import PIPELINE_FOLDER, SdRecipe, StageReport, train
from compute.models.mini.stop_signals import stop_signals
from compute.progress import bar

_LOG_EVERY = 50  # iterations
_LOOK_SECONDS = 3600
_LOOK_COUNT = 100  # pictures of each split
_SHEET_COUNT = 40


def train_sd_mini(
    folder: Path,
    *,
    autoencoder_iterations: int | None = None,
    iterations: int | None = None,
    fresh_autoencoder: bool = False,
    start: Path | None = None,
    seed: int = 0,
) -> None:
    """Train sd-mini, or resume its training, in `folder`; None for a number of iterations is the recipe's.

    Writes what `stages` says, log.jsonl, and every hour and at the end a sample sheet and the prompt fidelity of a few
    pictures. SIGTERM and SIGINT end the training after the current iteration, with a checkpoint.
    """
    recipe = replace(
        _recipe(autoencoder_iterations, iterations, seed), fresh_autoencoder=fresh_autoencoder, start=start
    )
    folder.mkdir(parents=True, exist_ok=True)
    looked_at = time.monotonic()
    with stop_signals() as stopping, (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        for stage, reports in groupby(train(recipe, folder, stopping.is_set), key=lambda report: report.stage):
            first = next(reports)
            title = f"train sd-mini, {stage}"
            with bar(title, recipe.length(stage), done=first.iteration - 1, unit="iteration") as progress:
                loss = first.loss
                for report in chain([first], reports):
                    if report.loss is None or loss is None:
                        progress.advance()
                        continue
                    loss += 0.02 * (report.loss - loss)
                    progress.advance(f"loss {loss:.4f}")
                    _log(log, report, loss)
                    if stage == "diffusion" and time.monotonic() - looked_at > _LOOK_SECONDS:
                        look(folder, f"{report.iteration:06}")
                        looked_at = time.monotonic()
        if stopping.is_set():
            print(f"{folder}: stopped; the same command resumes")
            return
    look(folder, "end")
    print(f"{folder / PIPELINE_FOLDER}: trained")


def _recipe(autoencoder_iterations: int | None, iterations: int | None, seed: int) -> SdRecipe:
    recipe = SdRecipe()
    autoencoder, diffusion = replace(recipe.autoencoder, seed=seed), replace(recipe.diffusion, seed=seed)
    diffusion = replace(diffusion, latents=replace(diffusion.latents, seed=seed))
    if autoencoder_iterations is not None:
        autoencoder = replace(autoencoder, pace=replace(autoencoder.pace, iterations=autoencoder_iterations))
    if iterations is not None:
        diffusion = replace(diffusion, pace=replace(diffusion.pace, iterations=iterations))
    return replace(recipe, autoencoder=autoencoder, diffusion=diffusion)


def _log(log: TextIO, report: StageReport, loss: float) -> None:
    if report.iteration % _LOG_EVERY == 0:
        line = {"stage": report.stage, "iteration": report.iteration, "loss": loss, "time": round(time.time())}
        log.write(json.dumps(line) + "\n")
        log.flush()


def load_pipeline(folder: Path) -> StableDiffusionPipeline:
    """Return the pipeline in a folder, in float32, as any user of diffusers would load it."""
    disable_progress_bar()
    pipe = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def look(folder: Path, name: str) -> None:
    """Write samples-NAME.png and samples-NAME.json: held-out captions, and the prompt fidelity of few pictures."""
    pipe = load_pipeline(folder / PIPELINE_FOLDER)
    prompts = captions("held-out", _SHEET_COUNT, seed=1)
    (pictures,) = sampled_pictures(pipe, prompts, steps=25, guidance=3.0)
    write_captioned_sheet(pictures, prompts, folder / f"samples-{name}.png")
    shares = {split: prompt_fidelity(pipe, split, count=_LOOK_COUNT) for split in SPLITS}
    means = {split: {aspect: share.mean for aspect, share in found.items()} for split, found in shares.items()}
    (folder / f"samples-{name}.json").write_text(json.dumps(means, indent=1) + "\n", encoding="utf-8")


def quality_of(folder: Path, *, count: int, steps: int, guidance: float) -> dict[str, Any]:
    """Return the quality of the pipeline in a folder, as a JSON object: reconstructions, and fidelity by split."""
    pipe = load_pipeline(folder)
    return {
        "reconstructions": reconstruction_quality(pipe.vae, count=count).as_json(),
        **{
            split: {
                aspect: asdict(share)
                for aspect, share in prompt_fidelity(pipe, split, count=count, steps=steps, guidance=guidance).items()
            }
            for split in SPLITS
        },
    }
