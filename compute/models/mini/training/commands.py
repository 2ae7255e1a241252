"""The command line's two trainings, with progress bars, a log and sample sheets."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import torch

from compute.models.loading import load_model
from compute.models.mini.captioned_sheet import write_captioned_sheet
from compute.models.mini.judge.judge_training import JudgeRecipe, accuracy, train_judge
from compute.models.mini.judge.scene_judge import SceneJudge
from compute.models.mini.scenes.scene import captions
from compute.models.mini.training.trainer import PIPELINE_FOLDER, Recipe, checkpoint_iteration, train
from compute.progress import bar
from store.errors import SkipscopeError
from store.records import Condition
from store.sampler import SamplerSettings

_LOG_EVERY = 50
_SHEET_SECONDS = 1800


def train_pipeline(folder: Path, *, iterations: int | None, seed: int) -> None:
    """Train glide-mini, or resume its training, in `folder`; None for `iterations` is the recipe's number.

    Writes checkpoint.pt, pipeline/, log.jsonl, and a sample sheet every half hour and at the end.
    """
    recipe = replace(Recipe(seed=seed), **({} if iterations is None else {"iterations": iterations}))
    smoothed_mse, sheet_written_at = 0.0, time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    done = checkpoint_iteration(folder)
    pipeline = folder / PIPELINE_FOLDER
    with (
        bar("train glide-mini", recipe.iterations, done=done, unit="iteration") as progress,
        (folder / "log.jsonl").open("a") as log,
    ):
        for stage, report in train(recipe, folder):
            if stage == "text":
                if report.iteration % 100 == 0:
                    progress.print(f"text transformer: iteration {report.iteration}, loss {report.loss:.4f}")
                continue
            smoothed_mse = report.noise_mse if not smoothed_mse else 0.98 * smoothed_mse + 0.02 * report.noise_mse
            progress.advance(f"noise MSE {smoothed_mse:.4f}")
            if report.iteration % _LOG_EVERY == 0:
                line = {"iteration": report.iteration, "loss": report.loss, "noise_mse": smoothed_mse}
                log.write(json.dumps(line) + "\n")
                log.flush()
            if pipeline.exists() and time.monotonic() - sheet_written_at > _SHEET_SECONDS:
                sheet_written_at = time.monotonic()
                write_sample_sheet(pipeline, folder / f"samples-{report.iteration:06}.png")
    write_sample_sheet(pipeline, folder / "samples.png")
    print(f"{pipeline}: trained for {recipe.iterations} iterations")


def write_sample_sheet(pipeline: Path, path: Path) -> None:
    """Sample pictures of 24 held-out captions with the pipeline in a folder, and write them to a PNG."""
    prompts = captions("held-out", 24, seed=0)
    conditions = [Condition(prompt=prompt, seed=i, guidance=3.0) for i, prompt in enumerate(prompts)]
    pictures = load_model(str(pipeline)).run(conditions, SamplerSettings(name="ddpm", steps=25))
    write_captioned_sheet(pictures, prompts, path)


def train_the_judge(path: Path, *, iterations: int | None) -> None:
    """Train the scene judge, write its weights to `path`, and print its accuracy on rendered scenes.

    None for `iterations` is the recipe's number. Raises SkipscopeError where the folder of `path` does not exist.
    """
    if not path.parent.is_dir():
        raise SkipscopeError(f"{path.parent}: is no folder; make it first")
    recipe = replace(JudgeRecipe(), **({} if iterations is None else {"iterations": iterations}))
    judge = SceneJudge()
    with bar("train the judge", recipe.iterations, unit="iteration") as progress:
        for _, loss, trained in train_judge(recipe):
            judge = trained
            progress.advance(f"loss {loss:.4f}")
    judge.eval().save(path)
    with torch.inference_mode():
        shares = accuracy(SceneJudge.load(path))
    print(
        f"{path}: right on fresh real scenes: arrangement {shares.axis:.2%}, objects {shares.objects:.2%}, "
        f"background {shares.background:.2%}, all {shares.all:.2%}"
    )
