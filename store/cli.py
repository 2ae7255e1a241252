"""The command line of the store: look at a sweep, check it, and remove what it no longer needs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from store.care.prune import PrunePlan, plan_prune
from store.care.prune import prune as remove
from store.care.summary import StoreSummary, summarise
from store.care.verify import verify as find
from store.errors import SkipscopeError
from store.sweep_store import SweepStore

app = typer.Typer(
    name="store",
    help="Look at a sweep's folder, check it, and remove what it no longer needs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A folder that a sweep made.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Damaged = Annotated[
    bool, typer.Option("--damaged", help="Also remove damaged shards; the sweep runs their units again.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")]
_SHOWN = 20


@app.command()
def ls(folder: Folder, as_json: Json = False, everything: Annotated[bool, typer.Option("--all")] = False) -> None:
    """Show what a sweep holds and how far it is; --all lists every unit."""
    summary = summarise(SweepStore.open(folder))
    if as_json:
        typer.echo(summary.model_dump_json())
    else:
        _show(summary, len(summary.units) if everything else _SHOWN)


def _show(summary: StoreSummary, shown: int) -> None:
    console, counts, driver = Console(), summary.counts, summary.driver
    who = f" ({driver.owner} on {driver.host}, process {driver.pid})" if driver.pid is not None else ""
    why = f": {driver.reason}" if driver.reason else ""
    lines = [
        f"{summary.path} (format {summary.version})",
        f"driver   {driver.state}{why}{who}",
        f"units    {counts.done} done, {counts.failed} failed, {counts.left} left of {counts.planned};"
        f" {counts.unplanned} no longer planned",
        f"size     {decimal(summary.size)}, {decimal(summary.free)} free",
        f"metrics  {', '.join(metric.name for metric in summary.metrics) or 'none'}",
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if summary.units:
        table = Table("unit", "role", "what", "conditions", "state", "size", box=None)
        for unit in summary.units[:shown]:
            what = f"{unit.what} ({unit.reason})" if unit.reason else unit.what
            cells = (unit.key[:12], unit.role, what, str(unit.conditions), unit.state, decimal(unit.size))
            table.add_row(*(_plain(cell) for cell in cells))
        console.print(table)
    if len(summary.units) > shown:
        console.print(f"and {len(summary.units) - shown} more: --all lists them", highlight=False)


def _plain(text: str) -> str:
    """Text from a store as a table cell: no markup of ours, no control characters of a terminal."""
    return "".join(it if it.isprintable() else " " for it in text).replace("[", r"\[")


@app.command()
def verify(folder: Folder, as_json: Json = False) -> None:
    """Read every shard and name what is truncated, flipped, foreign, stale or not listed; exit status 1 if any is."""
    findings = find(SweepStore.open(folder))
    if as_json:
        typer.echo(json.dumps([finding.model_dump() for finding in findings]))
    else:
        for finding in findings:
            typer.echo(f"{finding.kind:<10} {finding.path}: {finding.detail}")
        typer.echo(f"{len(findings)} findings" if findings else "everything is as it was written")
    if findings:
        raise typer.Exit(1)


@app.command()
def prune(folder: Folder, yes: Yes = False, damaged: Damaged = False) -> None:
    """Remove leftovers and what the plan no longer names, after asking."""
    store = SweepStore.open(folder)
    plan = plan_prune(store, damaged=damaged)
    for item in plan.items:
        typer.echo(f"{item.path}: {item.reason} ({decimal(item.size)})")
    if not plan.items:
        typer.echo("nothing to remove")
    elif _agreed(plan, yes):
        removed = remove(store, plan, damaged=damaged)
        typer.echo(f"removed {len(removed.items)} files, {decimal(removed.total)}")
    else:
        typer.echo("nothing was removed")


def _agreed(plan: PrunePlan, yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise SkipscopeError("prune asks before it removes, and there is no terminal to ask on; --yes removes unasked")
    return typer.confirm(f"Remove these {len(plan.items)} files ({decimal(plan.total)})?")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 1 for findings, 2 for an error, 130 for Ctrl-C."""
    try:
        status = app(arguments, prog_name="python -m store", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("interrupted\n")
        return 130
    except SkipscopeError as error:
        problem = str(error)
    except typer.TyperException as error:
        problem = error.format_message() if hasattr(error, "format_message") else str(error)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        problem = f"{error.filename or 'the store'}: {error.strerror}"
    sys.stderr.write(f"error: {' '.join(problem.split())}\n")
    return 2
