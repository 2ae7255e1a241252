"""The command line's training of the upsampler, with a progress bar and a log."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

from diffusers.utils.logging import disable_progress_bar

from compute.models.mini.sd_training.optimisation import checkpoint_iteration
from compute.models.mini.stop_signals import stop_signals
from compute.models.mini.training.upsampler_training import (
    CHECKPOINT,
    PIPELINE_FOLDER,
    UpsamplerRecipe,
    train_upsampler,
)
from compute.progress import bar

_LOG_EVERY = 50  # iterations


def train_glide_upsampler(folder: Path, *, iterations: int | None, seed: int) -> None:
    """Train glide-mini's upsampler, or resume its training, in `folder`; None for `iterations` is the recipe's number.

    Writes upsampler.pt, pipeline/ and log.jsonl. SIGTERM and SIGINT end the training after the current iteration, with
    a checkpoint.
    """
    recipe = UpsamplerRecipe(seed=seed)
    if iterations is not None:
        recipe = replace(recipe, pace=replace(recipe.pace, iterations=iterations))
    folder.mkdir(parents=True, exist_ok=True)
    disable_progress_bar()
    done, mean = checkpoint_iteration(folder / CHECKPOINT), None
    with (
        stop_signals() as stopping,
        (folder / "log.jsonl").open("a", encoding="utf-8") as log,
        bar("train the upsampler", recipe.pace.iterations, done=done, unit="iteration") as progress,
    ):
        for iteration, loss in train_upsampler(recipe, folder, stopping.is_set):
            mean = loss if mean is None else mean + 0.02 * (loss - mean)
            progress.advance(f"loss {mean:.4f}")
            if iteration % _LOG_EVERY == 0:
                log.write(json.dumps({"iteration": iteration, "loss": mean, "time": round(time.time())}) + "\n")
                log.flush()
    if stopping.is_set():
        print(f"{folder}: stopped; the same command resumes")
    else:
        print(f"{folder / PIPELINE_FOLDER}: trained for {recipe.pace.iterations} iterations")
