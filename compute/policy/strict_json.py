"""JSON that is not trusted (limited size, no duplicate fields, finite numbers), and JSON laid out for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Never

SIZE_LIMIT = 1 << 20
_DIGITS = 40
_WIDTH = 124


class JsonRefused(ValueError):
    """A JSON document that is not accepted; the message is one line."""


def read_bytes(path: Path) -> bytes:
    """Return at most SIZE_LIMIT + 1 bytes of a regular file. Raises JsonRefused for one that can't be read."""
    try:
        if not path.is_file():
            raise JsonRefused("is not a regular file; give a JSON file" if path.exists() else "there is no such file")
        with path.open("rb") as file:
            return file.read(SIZE_LIMIT + 1)
    except JsonRefused:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise JsonRefused(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


def parse(data: bytes | str) -> Any:
    """Return the value of a JSON text (UTF-8).

    Raises JsonRefused for text that is not JSON, and for more than SIZE_LIMIT bytes, duplicate fields, NaN, infinities,
    numbers of more than 40 digits, and too deep nesting.
    """
    try:
        raw = data.encode("utf-8") if isinstance(data, str) else data
        if len(raw) > SIZE_LIMIT:
            raise JsonRefused(f"is larger than the {SIZE_LIMIT >> 20} MiB that are accepted")
        return json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_no_constant,
            parse_int=_int,
            parse_float=_float,
        )
    except JsonRefused:
        raise
    except UnicodeError:
        raise JsonRefused("is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise JsonRefused(f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise JsonRefused("is nested too deeply") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise JsonRefused(f"is not accepted: the field {name[:60]!r} appears twice")
        fields[name] = value
    return fields


def _no_constant(name: str) -> Never:
    raise JsonRefused(f"is not JSON: {name} is no number; finite numbers are accepted")


def _int(digits: str) -> int:
    _check_length(digits)
    return int(digits)


def _float(digits: str) -> float:
    _check_length(digits)
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise JsonRefused(f"is not accepted: {digits} is too large a number")
    return value


def _check_length(digits: str) -> None:
    if len(digits) > _DIGITS:
        raise JsonRefused(f"is not accepted: a number of {len(digits)} digits; at most {_DIGITS} are")


def indented(value: Any, indent: str = "", offset: int = 0) -> str:
    """Return the JSON text of a value with its fields in order: on one line if it fits, else one item a line.

    The text begins `offset` characters after its indent.
    """
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    fits = len(indent) + offset + len(line) <= _WIDTH
    if fits or not value or not isinstance(value, Mapping | list | tuple):
        return line
    deeper = indent + "  "
    if isinstance(value, Mapping):
        names = {name: json.dumps(name, ensure_ascii=False) + ": " for name in value}
        items = [deeper + names[name] + indented(item, deeper, len(names[name])) for name, item in value.items()]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    return "[\n" + ",\n".join(_item_lines(value, deeper)) + f"\n{indent}]"


def _item_lines(items: Sequence[Any], indent: str) -> list[str]:
    """Return one line for each item; where all items are strings, as many on a line as fit."""
    if not all(isinstance(item, str) for item in items):
        return [indent + indented(item, indent) for item in items]
    lines: list[str] = []
    for item in items:
        text = json.dumps(item, ensure_ascii=False)
        if lines and len(lines[-1]) + len(text) + 2 <= _WIDTH:
            lines[-1] += f", {text}"
        else:
            lines.append(indent + text)
    return lines
