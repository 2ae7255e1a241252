"""Files with one JSON record per line, which a driver appends to. Each line begins with a digest of the rest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from store.errors import StoreError
from store.folder.files import read_file
from store.records import Record, canonical_json

FILE_LIMIT = 1 << 29  # bytes
LINES_LIMIT = 1 << 19  # three times the units that the largest sweep.json holds
LINE_LIMIT = 1 << 24  # bytes
_REMEDY = "remove it, and the next driver makes it again from the shards"
Line = TypeVar("Line", bound=Record)
CHECKED = b'{"check":"'
"""How a line with a digest begins."""
_CHECK = re.compile(re.escape(CHECKED) + b'([0-9a-f]{64})",')


class Lines(NamedTuple, Generic[Line]):
    """The records of a file with their line numbers (from 1), and the numbers of lines that are no records.

    `unchecked` are the numbers of lines without a digest, of earlier releases; `unfinished` says that the file ends
    without a newline.
    """

    records: list[tuple[int, Line]]
    damaged: list[int]
    unchecked: set[int]
    unfinished: bool


def line_of(value: Record | Mapping[str, Any]) -> str:
    """Return a record as a line of a file, without its newline. Its digest is of the canonical JSON of the rest."""
    text = canonical_json(value)
    return f'{{"check":"{hashlib.sha256(text.encode("ascii")).hexdigest()}",{text[1:]}'


def read_lines(path: Path, kind: type[Line]) -> Lines[Line]:
    """Read the lines of a file. A line with a digest that does not fit is damaged.

    A last line without a newline is being written or was cut off by a crash, and is ignored. A missing file is empty.
    Raises StoreError for a file that is larger, or has more lines, than a driver writes.
    """
    try:
        data = read_file(path, FILE_LIMIT)
    except FileNotFoundError:
        return Lines([], [], set(), False)
    except StoreError as error:
        raise StoreError(f"{error}; {_REMEDY}") from error
    if (count := data.count(b"\n")) > LINES_LIMIT:
        raise StoreError(f"{path}: {count} lines are more than the {LINES_LIMIT} that are accepted; {_REMEDY}")
    lines = data.split(b"\n")
    found: Lines[Line] = Lines([], [], set(), bool(lines[-1]))
    for number, line in enumerate(lines[:-1], start=1):
        check = _CHECK.match(line)
        text = b"{" + line[check.end() :] if check else line
        try:
            if len(line) > LINE_LIMIT:
                raise ValueError(f"{len(line)} bytes")
            if check and hashlib.sha256(text).hexdigest().encode("ascii") != check.group(1):
                raise ValueError("the line was changed")
            found.records.append((number, kind.model_validate_json(text)))
        except ValueError:  # pydantic's ValidationError is one
            found.damaged.append(number)
        else:
            if not check:
                found.unchecked.add(number)
    return found
