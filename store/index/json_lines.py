"""Files of one JSON record a line, which a driver appends to: reading them whatever a crash left."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from store.folder.files import read_file
from store.records import Record

Line = TypeVar("Line", bound=Record)


def read_lines(path: Path, kind: type[Line]) -> tuple[list[tuple[int, Line]], list[int]]:
    """The numbered records of a file, in order, and the numbers (from 1) of lines that are damaged. No file: none.

    A last line without its newline is being written, or was cut off by a crash: it is neither a record nor damage.
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
