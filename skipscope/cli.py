"""The `skipscope` command: the commands of `compute`, the dashboard and its report, those of `store` as a group.

`report` is here because its charts are the dashboard's, which `compute` may not import.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compute.cli.main import app as compute_app
from compute.cli.options import StoreFolder
from store.cli import app as store_app
from store.exit_status import exit_process, run_app

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help=compute_app.info.help)
app.add_typer(compute_app)
app.add_typer(store_app, name="store")


@app.command()
def dashboard(
    store: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="DIR...",
            help="The sweep's folder, several, or a folder of sweeps; runs/demo or the bundled example unless given.",
        ),
    ] = None,
    address: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 opens it to others.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The first free one from 8501 unless given.")
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A further name that it is reached under, as behind a proxy."),
    ] = None,
) -> None:
    """Look at a sweep, or at several beside each other, in the browser; Ctrl-C ends it."""
    from dashboard.launch import launch

    launch(store or (), address=address, port=port, allow_host=allow_host or ())


@app.command()
def report(
    store: StoreFolder,
    output: Annotated[Path, typer.Option("-o", "--output", help="The HTML file to write.")],
) -> None:
    """What a sweep shows as one HTML file that works offline: verdicts, charts, pictures, policies."""
    from dashboard.views.report.document import write_report

    write_report(store, output)
    print(output)


def main() -> None:
    """Run the command line and exit the process."""
    exit_process(run_app(app))
