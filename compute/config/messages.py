"""Validation errors as lines for people: the field, what is wrong, what is accepted."""

from __future__ import annotations

import reprlib
from typing import Any

from pydantic import BaseModel, ValidationError

_MAX_LINES = 50
_VALUE_ERROR = "Value error, "  # pydantic puts it before the text of a validator's ValueError


class _Short(reprlib.Repr):
    def repr_tuple(self, value: tuple[Any, ...], level: int) -> str:  # a list in the user's file
        return self.repr_list(list(value), level)


_SHORT = _Short()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 3, 60, 60


def error_lines(
    error: ValidationError,
    model: type[BaseModel],
    *,
    whole: str = "configuration",
    part: str = "field",
    document: str = "docs/configuration.md",
) -> list[str]:
    """Return one line for each error that pydantic found in the data of a `model`.

    Messages call the data `whole` and its fields `part`; `document` describes the fields.
    """
    lines = []
    errors = error.errors(include_url=False, include_context=False)
    parents = {details["loc"][:depth] for details in errors for depth in range(len(details["loc"]))}
    for details in errors:
        if details["type"] == "too_short" and details["loc"] in parents:
            continue  # only because items have errors, which have lines of their own
        message = details["msg"].removeprefix(_VALUE_ERROR)
        field = ".".join(short_text(step) for step in details["loc"] if not str(step).startswith("<")) or whole
        if details["type"] == "extra_forbidden":
            accepted = ", ".join(model.model_fields) if len(details["loc"]) == 1 else f"see {document}"
            lines.append(f"{field}: is no {part}; accepted: {accepted}")
        elif not details["loc"] and message.split(":")[0] in model.model_fields:  # a validator that names the field
            lines.append(message)
        else:
            given = "" if details["type"] == "missing" else f" (given: {short_text(details['input'])})"
            lines.append(f"{field}: {message}{given}")
    lines = list(dict.fromkeys(lines))
    more = len(lines) - _MAX_LINES
    return lines if more <= 0 else [*lines[:_MAX_LINES], f"{whole}: {more} more mistakes"]


def short_text(value: Any) -> str:
    """Return a user's value as one short line; values that contain themselves and huge integers are safe, too."""
    if isinstance(value, str) and value.isprintable() and len(value) <= 60 and value.isidentifier():
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**40 else "a number of more than 40 digits"
    try:
        text = _SHORT.repr(value)
    except Exception:  # a nested integer can be too long to be printed
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:60] + "…"
