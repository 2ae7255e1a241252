"""Files with one JSON record per line, which a driver appends to."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from store.errors import StoreError
from store.folder.files import read_file
from store.records import Record

FILE_LIMIT = 1 << 29  # bytes
LINES_LIMIT = 1 << 19  # three times the units that the largest sweep.json holds
LINE_LIMIT = 1 << 24  # bytes
_REMEDY = "remove it, and the next driver makes it again from the shards"
Line = TypeVar("Line", bound=Record)


def read_lines(path: Path, kind: type[Line]) -> tuple[list[tuple[int, Line]], list[int]]:
    """Read the records of a file with their line numbers (from 1), and the numbers of lines that are no records.

    A last line without a newline is being written or was cut off by a crash, and is ignored. A missing file is empty.
    Raises StoreError for a file that is larger, or has more lines, than a driver writes.
    """
    try:
        data = read_file(path, FILE_LIMIT)
    except FileNotFoundError:
        return [], []
    except StoreError as error:
        raise StoreError(f"{error}; {_REMEDY}") from error
    if (count := data.count(b"\n")) > LINES_LIMIT:
        raise StoreError(f"{path}: {count} lines are more than the {LINES_LIMIT} that are accepted; {_REMEDY}")
    lines = data.split(b"\n")
    records: list[tuple[int, Line]] = []
    damaged: list[int] = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            if len(line) > LINE_LIMIT:
                raise ValueError(f"{len(line)} bytes")
            records.append((number, kind.model_validate_json(line)))
        except ValueError:  # pydantic's ValidationError is one
            damaged.append(number)
    return records, damaged
