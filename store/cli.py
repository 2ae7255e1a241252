"""The command line of the store. Commands import what they need when they run, so that `--help` is instant."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from store.errors import SkipscopeError
from store.exit_status import run_app

if TYPE_CHECKING:
    from rich.console import Console

    from store.care.summary import StoreSummary, UnitSummary

app = typer.Typer(
    name="store",
    help="Look at a sweep's folder, check it, and remove what it no longer needs.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The sweep's folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Everything = Annotated[bool, typer.Option("--all", help="List every unit.")]
Damaged = Annotated[
    bool, typer.Option("--damaged", help="Also remove damaged shards; the sweep runs their units again.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")]
_LISTED_UNITS = 20


@app.command()
def ls(folder: Folder, as_json: AsJson = False, everything: Everything = False) -> None:
    """Show what a sweep holds and how far it is."""
    from store.care.summary import summarise
    from store.sweep_store import SweepStore

    summary = summarise(SweepStore.open(folder))
    if as_json:
        typer.echo(summary.model_dump_json())
    else:
        _print_summary(summary, len(summary.units) if everything else _LISTED_UNITS)


def _print_summary(summary: StoreSummary, listed: int) -> None:
    from rich.console import Console
    from rich.filesize import decimal

    console, counts, driver = Console(), summary.counts, summary.driver
    process = f" ({driver.owner} on {driver.host}, process {driver.pid})" if driver.pid is not None else ""
    reason = f": {driver.reason}" if driver.reason else ""
    lines = [
        f"{summary.path} (format {summary.version})",
        f"driver   {driver.state}{reason}{process}",
        f"units    {counts.done} done, {counts.failed} failed, {counts.left} left of {counts.planned};"
        f" {counts.unplanned} no longer planned",
        f"size     {decimal(summary.size)}, {decimal(summary.free)} free",
        f"metrics  {', '.join(metric.name for metric in summary.metrics) or 'none'}",
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if summary.units:
        _print_units(console, summary.units[:listed])
    if len(summary.units) > listed:
        console.print(f"and {len(summary.units) - listed} more: --all lists them", highlight=False)


def _print_units(console: Console, units: Sequence[UnitSummary]) -> None:
    from rich.filesize import decimal
    from rich.table import Table

    table = Table("unit", "role", "what", "conditions", "state", "size", box=None)
    for unit in units:
        what = f"{unit.what} ({unit.reason})" if unit.reason else unit.what
        cells = (unit.key[:12], unit.role, what, str(unit.conditions), unit.state, decimal(unit.size))
        table.add_row(*(_plain(cell) for cell in cells))
    console.print(table)


def _plain(text: str) -> str:
    """Text from a store as a table cell, without rich's markup and without control characters."""
    return "".join(character if character.isprintable() else " " for character in text).replace("[", r"\[")


@app.command()
def verify(folder: Folder, as_json: AsJson = False) -> None:
    """Read every shard; list what is truncated, flipped, foreign, stale or unlisted, and exit with 1 if anything is."""
    from store.care.verify import verify as find_problems
    from store.sweep_store import SweepStore

    problems = find_problems(SweepStore.open(folder))
    if as_json:
        typer.echo(json.dumps([problem.model_dump() for problem in problems]))
    else:
        for problem in problems:
            typer.echo(f"{problem.kind:<10} {problem.path}: {problem.detail}")
        typer.echo(f"{len(problems)} problems" if problems else "everything is as it was written")
    if problems:
        raise typer.Exit(1)


@app.command()
def prune(folder: Folder, yes: Yes = False, damaged: Damaged = False) -> None:
    """Remove leftover files and what the plan no longer names, after asking."""
    from rich.filesize import decimal

    from store.care.prune import plan_prune
    from store.care.prune import prune as remove
    from store.sweep_store import SweepStore

    store = SweepStore.open(folder)
    plan = plan_prune(store, damaged=damaged)
    for item in plan.items:
        typer.echo(f"{item.path}: {item.reason} ({decimal(item.size)})")
    if not plan.items:
        typer.echo("nothing to remove")
    elif yes or _confirmed(f"Remove these {len(plan.items)} files ({decimal(plan.total)})?"):
        removed = remove(store, plan, damaged=damaged)
        typer.echo(f"removed {len(removed.items)} files, {decimal(removed.total)}")
    else:
        typer.echo("nothing was removed")


def _confirmed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise SkipscopeError(
            "prune asks for confirmation, but standard input is not a terminal; --yes removes without asking"
        )
    return typer.confirm(question)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status; 1 if `verify` lists anything."""
    return run_app(app, arguments, prog_name="python -m store")
