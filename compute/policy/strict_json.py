"""JSON from an untrusted file, and JSON that people can read: no more than the text itself, no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Never

SIZE_LIMIT = 1 << 20
_DIGITS = 40
_WIDTH = 124


class NotStrict(ValueError):
    """A text that is no JSON document as accepted here; the text says why in one line."""


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file of at most SIZE_LIMIT. Raises NotStrict, also where it cannot be read."""
    try:
        if not path.is_file():
            there = path.exists()
            raise NotStrict("is not a regular file; give a JSON file" if there else "there is no such file")
        with path.open("rb") as file:
            return file.read(SIZE_LIMIT + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if isinstance(error, NotStrict):
            raise
        raise NotStrict(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


def parse(data: bytes | str) -> Any:
    """The value of a JSON text (UTF-8). Raises NotStrict.

    Refused besides what is no JSON: more than SIZE_LIMIT bytes, a field that stands twice, NaN and infinities, numbers
    of more than 40 digits, and nesting that is too deep to read.
    """
    text = _text(data)
    try:
        return json.loads(
            text, object_pairs_hook=_each_once, parse_constant=_no_constant, parse_int=_int, parse_float=_float
        )
    except NotStrict:
        raise
    except json.JSONDecodeError as error:
        raise NotStrict(f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise NotStrict("is nested too deeply") from None


def _text(data: bytes | str) -> str:
    try:
        raw = data.encode("utf-8") if isinstance(data, str) else data
        if len(raw) > SIZE_LIMIT:
            raise NotStrict(f"is larger than the {SIZE_LIMIT >> 20} MiB that are accepted")
        return raw.decode("utf-8")
    except UnicodeError:
        raise NotStrict("is not UTF-8 text") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise NotStrict(f"is not accepted: the field {name[:60]!r} stands twice")
        found[name] = value
    return found


def _no_constant(name: str) -> Never:
    raise NotStrict(f"is not JSON: {name} is no number; finite numbers are accepted")


def _int(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise NotStrict(f"is not accepted: a number of {len(digits)} digits; at most {_DIGITS} are")
    return int(digits)


def _float(digits: str) -> float:
    if len(digits) > _DIGITS:
        raise NotStrict(f"is not accepted: a number of {len(digits)} digits; at most {_DIGITS} are")
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise NotStrict(f"is not accepted: {digits} is too large a number")
    return value


def laid_out(value: Any, indent: str = "", before: int = 0) -> str:
    """The JSON text of a value, in the order of its fields: on one line where it fits, else one item a line.

    It begins `before` characters after its indent.
    """
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    fits = len(indent) + before + len(line) <= _WIDTH
    if fits or not value or not isinstance(value, Mapping | list | tuple):
        return line
    deeper = indent + "  "
    if isinstance(value, Mapping):
        names = {name: json.dumps(name, ensure_ascii=False) + ": " for name in value}
        items = [deeper + names[name] + laid_out(item, deeper, len(names[name])) for name, item in value.items()]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    return "[\n" + ",\n".join(_filled(value, deeper)) + f"\n{indent}]"


def _filled(items: Sequence[Any], indent: str) -> list[str]:
    """The items' lines; names share lines."""
    if not all(isinstance(item, str) for item in items):
        return [indent + laid_out(item, indent) for item in items]
    lines: list[str] = []
    for item in items:
        text = json.dumps(item, ensure_ascii=False)
        if lines and len(lines[-1]) + len(text) + 2 <= _WIDTH:
            lines[-1] += f", {text}"
        else:
            lines.append(indent + text)
    return lines
