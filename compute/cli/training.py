"""The commands that train and check the bundled models: `train-mini`, `train-sd-mini`, `train-judge`, …."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from compute.cli.options import AsJson

commands = typer.Typer()


@commands.command("train-mini")
def train_mini(
    output: Annotated[Path, typer.Option("-o", "--output", help="A folder for checkpoint, log and pipeline.")],
    iterations: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Train glide-mini; the same command resumes."""
    from compute.models.mini.training.commands import train_pipeline

    train_pipeline(output, iterations=iterations, seed=seed)


@commands.command("train-glide-upsampler")
def train_glide_upsampler(
    output: Annotated[Path, typer.Option("-o", "--output", help="A folder for checkpoint, log and pipeline.")],
    iterations: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Train glide-mini's upsampler; stops at SIGTERM with a checkpoint, and the same command resumes."""
    from compute.models.mini.training.upsampler_commands import train_glide_upsampler

    train_glide_upsampler(output, iterations=iterations, seed=seed)


@commands.command("glide-mini-quality")
def glide_mini_quality(
    model: Annotated[str, typer.Option("--model", help="A cascade of a base and an upsampler.")] = "glide-mini-64",
    split: Annotated[str, typer.Option(help="held-out or train.")] = "held-out",
    count: Annotated[int, typer.Option(min=10, max=100_000, help="Prompts, each with a seed of its own.")] = 300,
    sheet: Annotated[Path | None, typer.Option(help="Write the first pictures of both stages (PNG) here.")] = None,
    json_: AsJson = False,
) -> None:
    """What the upsampler adds: prompt fidelity beside the base's, and how much sharper than bilinear enlarging."""
    from compute.models.mini.upsampler_quality import upsampler_quality

    report = upsampler_quality(model, split, count=count, sheet=sheet)
    print(json.dumps(report.as_json(), indent=1) if json_ else report.describe())


@commands.command("train-sd-mini")
def train_sd_mini(
    output: Annotated[Path, typer.Option("-o", "--output", help="A folder for checkpoints, log and pipeline.")],
    autoencoder_iterations: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Of the UNet, instead of the recipe's.")] = None,
    fresh_autoencoder: Annotated[
        bool, typer.Option("--fresh-autoencoder", help="Train an autoencoder, too, instead of taking the bundled one.")
    ] = False,
    start: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="A pipeline whose UNet and text encoder to train on."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Train sd-mini on the bundled autoencoder; stops at SIGTERM with a checkpoint, and the same command resumes."""
    from compute.models.mini.sd_training.commands import train_sd_mini

    train_sd_mini(
        output,
        autoencoder_iterations=autoencoder_iterations,
        iterations=iterations,
        fresh_autoencoder=fresh_autoencoder,
        start=start,
        seed=seed,
    )


@commands.command("sd-mini-quality")
def sd_mini_quality(
    folder: Annotated[Path, typer.Argument(help="The pipeline, such as runs/sd-mini/pipeline.")],
    count: Annotated[int, typer.Option(min=1, help="Fresh scenes, and prompts of each split.")] = 1000,
    steps: Annotated[int, typer.Option(min=1)] = 25,
    guidance: Annotated[float, typer.Option(min=0)] = 3.0,
) -> None:
    """How sharp an sd-mini reconstructs scenes, and how often its pictures show the whole prompt, as JSON."""
    from compute.models.mini.sd_training.commands import quality_of

    print(json.dumps(quality_of(folder, count=count, steps=steps, guidance=guidance), indent=1))


@commands.command("train-judge")
def train_judge(
    output: Annotated[Path, typer.Option("-o", "--output", help="The safetensors file to write.")],
    iterations: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
) -> None:
    """Train the scene judge and print how often it is right on new scenes."""
    from compute.models.mini.training.commands import train_the_judge

    train_the_judge(output, iterations=iterations)


@commands.command("judge-agreement")
def judge_agreement(json_: AsJson = False) -> None:
    """How far the scene judge agrees with labels made by eye on generated pictures."""
    from compute.models.mini.judge.agreement import agreement

    report = agreement()
    print(json.dumps(report.as_json(), indent=1) if json_ else report.describe())
