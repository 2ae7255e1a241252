"""Paths as users give them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import typer

_EXPANDS = "_expands_paths"


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with `~` replaced by the home folder: `--store=~/sweeps` reaches a program as it is written.

    Where there is no such home the path stays as it is, and opening it says what is wrong.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def expand_paths(app: typer.Typer) -> None:
    """Make the commands of an app and of its groups get every path that they are given with `~` expanded."""
    for command in app.registered_commands:
        if command.callback is not None and not hasattr(command.callback, _EXPANDS):
            command.callback = _expanding(command.callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            expand_paths(group.typer_instance)


def _expanding(command: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(command)
    def with_expanded_paths(*args: Any, **kwargs: Any) -> Any:
        return command(*map(_value, args), **{name: _value(value) for name, value in kwargs.items()})

    setattr(with_expanded_paths, _EXPANDS, True)
    return with_expanded_paths


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return [_value(item) for item in value]
    return expanded(value) if isinstance(value, Path) else value
