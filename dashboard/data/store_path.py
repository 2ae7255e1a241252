"""The store that the dashboard shows: the one that `--store` names, else the demo's, else the bundled example."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Never

from store.errors import SkipscopeError
from store.folder.layout import HEADER

DEMO = Path("runs/demo")
EXAMPLE = Path(__file__).parents[1] / "example"


class BadArguments(SkipscopeError):
    """Arguments after `--` that the dashboard does not know."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        raise BadArguments(f"arguments: {message}; accepted is: -- --store DIR")


def select_store(arguments: Sequence[str]) -> Path | None:
    """Return the folder to show, or None if there is none. Raises BadArguments.

    A folder that `--store` names is returned also if it holds no sweep: opening it says so.
    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--store", type=Path)
    named: Path | None = parser.parse_args(list(arguments)).store
    if named is not None:
        return named
    return next((folder for folder in (DEMO, EXAMPLE) if (folder / HEADER).is_file()), None)
