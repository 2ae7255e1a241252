"""The dashboard's arguments: the stores that it shows, and the names that it is served under."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Never

from store.errors import SkipscopeError
from store.folder.layout import HEADER
from store.paths import expanded

DEMO = Path("runs/demo")
EXAMPLE = Path(__file__).parents[1] / "example"
STORE_LIMIT = 64
"""The number of stores to choose from; further ones are not shown."""


class BadArguments(SkipscopeError):
    """Arguments after `--` that the dashboard does not know."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        raise BadArguments(f"arguments: {message}; accepted is: -- --store DIR --allow-host NAME, each again and again")


def select_store(arguments: Sequence[str]) -> Path | None:
    """Return the first folder to show, or None if there is none; see `select_stores`. Raises BadArguments."""
    return next(iter(select_stores(arguments).values()), None)


def select_stores(arguments: Sequence[str]) -> Mapping[str, Path]:
    """Return the folders to show by their names, in order; none if there is none. Raises BadArguments.

    Those that `--store` names, else the demo's, else the bundled example. Of a folder that is no sweep but holds some,
    these are meant, by name. Another one is returned also if it holds no sweep: opening it says so. Of equal names the
    later ones are numbered.
    """
    named: list[Path] = _parsed(arguments).store
    if not named:
        return dict([(folder.name, folder) for folder in (DEMO, EXAMPLE) if (folder / HEADER).is_file()][:1])
    folders = dict.fromkeys(store for folder in named for store in _stores_in(expanded(folder)))
    names: dict[str, Path] = {}
    for folder in list(folders)[:STORE_LIMIT]:
        names[_free_name(folder.name or str(folder), names)] = folder
    return names


def _stores_in(folder: Path) -> list[Path]:
    """The folder itself, or the sweeps in it where it is none."""
    try:
        if (folder / HEADER).is_file():
            return [folder]
        inside = sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_dir())
        return [store for store in inside if (store / HEADER).is_file()] or [folder]
    except OSError:
        return [folder]


def _free_name(name: str, taken: Mapping[str, Path]) -> str:
    return next(n for n in (name, *(f"{name} ({number})" for number in range(2, STORE_LIMIT + 2))) if n not in taken)


def allowed_hosts(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the names that `--allow-host` gives; none for bad arguments, which a page reports."""
    try:
        return tuple(_parsed(arguments).allow_host)
    except BadArguments:
        return ()


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--store", type=Path, action="append", default=[])
    parser.add_argument("--allow-host", action="append", default=[])
    return parser.parse_args(list(arguments))
