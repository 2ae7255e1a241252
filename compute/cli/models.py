"""The commands that make models usable: `convert-glide`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

commands = typer.Typer()


@commands.command("convert-glide")
def convert_glide(
    output: Annotated[Path, typer.Option("-o", "--output", help="A new folder, with a pipeline for each checkpoint.")],
    base: Annotated[str | None, typer.Option(help='Its file, or "base" to download it.')] = None,
    upsample: Annotated[str | None, typer.Option(help='Its file, or "upsample".')] = None,
    inpaint: Annotated[str | None, typer.Option(help='Its file, or "base-inpaint".')] = None,
    upsample_inpaint: Annotated[str | None, typer.Option(help='Its file, or "upsample-inpaint".')] = None,
    merges: Annotated[
        Path | None, typer.Option(help="GPT-2's vocab.bpe or merges.txt; OpenAI's package has it, too.")
    ] = None,
    vocabulary: Annotated[
        Path | None, typer.Option(help="GPT-2's encoder.json or vocab.json; it follows from the merges.")
    ] = None,
    dtype: Annotated[
        Literal["float16", "float32"] | None, typer.Option(help="Instead of the checkpoint's own.")
    ] = None,
) -> None:
    """Convert OpenAI's checkpoints of GLIDE to pipelines: DIR/base, DIR/upsampler, ...."""
    from compute.models.glide.convert.commands import convert_glide as convert

    named = {
        "--base": base,
        "--upsample": upsample,
        "--inpaint": inpaint,
        "--upsample-inpaint": upsample_inpaint,
    }
    given = {option: name for option, name in named.items() if name is not None}
    for folder in convert(given, output, merges=merges, vocabulary=vocabulary, dtype=dtype):
        print(folder)
