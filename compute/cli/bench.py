"""The command that runs samplers, published methods and policies side by side: `bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compute.cli.options import AsJson

commands = typer.Typer()


@commands.command()
def bench(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="What competes; configs/bench.yaml.")],
    out: Annotated[Path, typer.Option("--out", help="The bench's folder: created or resumed.")],
    json_: AsJson = False,
) -> None:
    """Run samplers, published methods and policies on the same prompts: quality at equal evaluations and seconds."""
    from compute.cli.bench_text import bench_lines
    from compute.config.bench_schema import BenchConfig
    from compute.config.loading import load_record
    from compute.recommend.bench.bench import Bench

    settings = load_record(config, BenchConfig, "docs/bench.md")
    report = Bench(settings, folder=config.absolute().parent, out=out).run()
    print(report.dumps() if json_ else "\n".join(bench_lines(report)))
