"""The two trainings as commands: progress, log and sample sheets around `train` and `train_judge`."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import torch

from compute.models.mini.fidelity import write_captioned
from compute.models.mini.judge.judge_training import JudgeRecipe, accuracy, train_judge
from compute.models.mini.judge.scene_judge import Judge
from compute.models.mini.scenes.scene import captions
from compute.models.mini.training.trainer import PIPELINE_FOLDER, Recipe, checkpoint_iteration, train
from compute.models.model import load_model
from compute.progress import bar
from store.errors import SkipscopeError
from store.records import Condition
from store.sampler import SamplerSettings

_LOG_EVERY = 50
_SHEET_SECONDS = 1800


def train_pipeline(folder: Path, *, iterations: int | None, seed: int) -> None:
    """Train glide-mini into `folder`: checkpoint.pt, pipeline/, log.jsonl, and a sample sheet every half hour."""
    recipe = replace(Recipe(seed=seed), **({} if iterations is None else {"iterations": iterations}))
    smooth, drawn = 0.0, time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    done = checkpoint_iteration(folder)
    with (
        bar("train glide-mini", recipe.iterations, done=done, unit="iteration") as progress,
        (folder / "log.jsonl").open("a") as log,
    ):
        for stage, step in train(recipe, folder):
            if stage == "reading":
                if step.iteration % 100 == 0:
                    progress.print(f"learning to read: iteration {step.iteration}, loss {step.loss:.4f}")
                continue
            smooth = step.noise_mse if not smooth else 0.98 * smooth + 0.02 * step.noise_mse
            progress.advance(f"noise MSE {smooth:.4f}")
            if step.iteration % _LOG_EVERY == 0:
                log.write(json.dumps({"iteration": step.iteration, "loss": step.loss, "noise_mse": smooth}) + "\n")
                log.flush()
            pipeline = folder / PIPELINE_FOLDER
            if pipeline.exists() and time.monotonic() - drawn > _SHEET_SECONDS:
                drawn = time.monotonic()
                draw_sheet(pipeline, folder / f"samples-{step.iteration:06}.png")
    draw_sheet(folder / PIPELINE_FOLDER, folder / "samples.png")
    print(f"{folder / PIPELINE_FOLDER}: trained for {recipe.iterations} iterations")


def draw_sheet(pipeline: Path, path: Path) -> None:
    """Pictures of 24 held-out prompts."""
    prompts = captions("held-out", 24, seed=0)
    conditions = [Condition(prompt=p, seed=i, guidance=3.0) for i, p in enumerate(prompts)]
    model = load_model(str(pipeline))
    write_captioned(model.pictures(conditions, SamplerSettings(name="ddpm", steps=25)), prompts, path)


def train_the_judge(path: Path, *, iterations: int | None) -> None:
    """Train the scene judge, write it, and print how often it is right on fresh real scenes."""
    if not path.parent.is_dir():
        raise SkipscopeError(f"{path.parent}: is no folder; make it first")
    recipe = replace(JudgeRecipe(), **({} if iterations is None else {"iterations": iterations}))
    judge = Judge()
    with bar("train the judge", recipe.iterations, unit="iteration") as progress:
        for _, loss, trained in train_judge(recipe):
            judge = trained
            progress.advance(f"loss {loss:.4f}")
    judge.eval().save(path)
    with torch.inference_mode():
        found = accuracy(Judge.load(path))
    print(
        f"{path}: right on fresh real scenes: arrangement {found.axis:.2%}, objects {found.objects:.2%}, "
        f"background {found.background:.2%}, all {found.all:.2%}"
    )
