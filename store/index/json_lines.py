"""Files with one JSON record per line, which a driver appends to."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from store.folder.files import read_file
from store.records import Record

Line = TypeVar("Line", bound=Record)


def read_lines(path: Path, kind: type[Line]) -> tuple[list[tuple[int, Line]], list[int]]:
    """Read the records of a file with their line numbers (from 1), and the numbers of lines that are no records.

    A last line without a newline is being written or was cut off by a crash, and is ignored. A missing file is empty.
    """
    try:
        lines = read_file(path).split(b"\n")
    except FileNotFoundError:
        return [], []
    records: list[tuple[int, Line]] = []
    damaged: list[int] = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            records.append((number, kind.model_validate_json(line)))
        except ValidationError:
            damaged.append(number)
    return records, damaged
