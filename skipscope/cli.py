"""The `skipscope` command: the commands of `compute`, the dashboard, and the commands of `store` as a group."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compute.cli import main as compute_cli

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help=compute_cli.app.info.help)
app.add_typer(compute_cli.app)


@app.command()
def dashboard(
    store: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="The sweep's folder; runs/demo or the bundled example unless given."),
    ] = None,
    address: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 opens it to others.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The first free one from 8501 unless given.")
    ] = None,
) -> None:
    """Look at a sweep in the browser; Ctrl-C ends it."""
    from dashboard.launch import launch

    launch(store, address=address, port=port)


@app.command(
    "store", context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def store(context: typer.Context) -> None:
    """Look at a sweep's folder (ls), check it (verify), and remove what it no longer needs (prune)."""
    from store.cli import app as store_app

    raise typer.Exit(store_app(context.args, prog_name="skipscope store", standalone_mode=False) or 0)


def main() -> None:
    """Run the command line."""
    compute_cli.main(app)
