"""Which store the dashboard shows: what `--store` names, else the demo's, else the bundled example."""

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
    """Arguments behind `--` that the dashboard does not know."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        raise BadArguments(f"arguments: {message}; accepted is: -- --store DIR")


def chosen_store(arguments: Sequence[str]) -> Path | None:
    """The folder to show, or None where there is nothing to show yet. Raises BadArguments.

    A folder that was named is taken as it is, also where it holds no sweep: the page then says so.
    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--store", type=Path)
    named: Path | None = parser.parse_args(list(arguments)).store
    if named is not None:
        return named
    return next((folder for folder in (DEMO, EXAMPLE) if (folder / HEADER).is_file()), None)
