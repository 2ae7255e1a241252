"""Paths as users give them."""

from __future__ import annotations

import os
from pathlib import Path


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with `~` replaced by the home folder: `--store=~/sweeps` reaches a program as it is written.

    Where there is no such home the path stays as it is, and opening it says what is wrong.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
