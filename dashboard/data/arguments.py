"""The dashboard's arguments: the store that it shows, and the names that it is served under."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Never

from store.errors import SkipscopeError
from store.folder.layout import HEADER
from store.paths import expanded

DEMO = Path("runs/demo")
EXAMPLE = Path(__file__).parents[1] / "example"


class BadArguments(SkipscopeError):
    """Arguments after `--` that the dashboard does not know."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        raise BadArguments(f"arguments: {message}; accepted is: -- --store DIR --allow-host NAME")


def select_store(arguments: Sequence[str]) -> Path | None:
    """Return the folder to show, or None if there is none. Raises BadArguments.

    The one that `--store` names, else the demo's, else the bundled example. A folder that `--store` names is returned
    also if it holds no sweep: opening it says so.
    """
    named: Path | None = _parsed(arguments).store
    if named is not None:
        return expanded(named)
    return next((folder for folder in (DEMO, EXAMPLE) if (folder / HEADER).is_file()), None)


def allowed_hosts(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the names that `--allow-host` gives; none for bad arguments, which a page reports."""
    try:
        return tuple(_parsed(arguments).allow_host)
    except BadArguments:
        return ()


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--allow-host", action="append", default=[])
    return parser.parse_args(list(arguments))
