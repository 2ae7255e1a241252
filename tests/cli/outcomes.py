"""What tests of commands check: output as a document, an error as lines, files that were not written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cli.fork_server import Result


def files_in(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and modification time of everything in a folder, by relative path."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*")
    }


@contextmanager
def nothing_written(folder: Path) -> Iterator[None]:
    """Nothing in the folder changes within the block."""
    before = files_in(folder)
    yield
    assert files_in(folder) == before


def assert_refused(result: Result, *messages: str) -> None:
    """Exit status 2, nothing on stdout, and one line for each message, which contains it."""
    assert result.status == 2, result
    assert result.stdout == ""
    assert len(result.lines) == len(messages), result.stderr
    for line, message in zip(result.lines, messages, strict=True):
        assert line.startswith("skipscope: ")
        assert message in line
        assert len(line) < 600


def document(result: Result) -> Any:
    """The one JSON document that a command with --json prints, and nothing else."""
    assert result.status == 0, result.stderr
    assert "NaN" not in result.stdout and "Infinity" not in result.stdout
    return json.loads(result.stdout)
