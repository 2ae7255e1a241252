"""Files with one JSON record per line, which a driver appends to. Each line begins with a digest of the rest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import ValidationError

from store.folder.files import read_file
from store.records import Record, canonical_json

Line = TypeVar("Line", bound=Record)
_CHECK = re.compile(rb'\{"check":"([0-9a-f]{64})",')


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
    """
    try:
        lines = read_file(path).split(b"\n")
    except FileNotFoundError:
        lines = []
    found: Lines[Line] = Lines([], [], set(), bool(lines and lines[-1]))
    for number, line in enumerate(lines[:-1], start=1):
        check = _CHECK.match(line)
        text = b"{" + line[check.end() :] if check else line
        try:
            if check and hashlib.sha256(text).hexdigest().encode("ascii") != check.group(1):
                raise ValueError("the line was changed")
            found.records.append((number, kind.model_validate_json(text)))
        except (ValidationError, ValueError):
            found.damaged.append(number)
        else:
            if not check:
                found.unchecked.add(number)
    return found
