"""The command line's entry point. Nothing heavy is imported here, so that `--help` is instant."""

from __future__ import annotations

import typer

from compute.cli import bench, findings, models, paper, pictures, policies, sweeps, training
from store.exit_status import exit_process, run_app

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Skipscope: see which parts of a diffusion UNet matter at which step, and stop paying for the rest.",
)
for group in (sweeps, findings, policies, bench, paper, pictures, models, training):
    app.add_typer(group.commands)


def main(application: typer.Typer = app) -> None:
    """Run a command line and exit the process."""
    exit_process(run_app(application))
