"""What pydantic found wrong with a user's data, as one line a mistake: the field, what was wrong, what is accepted."""

from __future__ import annotations

import reprlib
from typing import Any

from pydantic import BaseModel, ValidationError

_LINE_LIMIT = 50
_OUR_OWN = "Value error, "  # what pydantic puts before the text of a validator's ValueError
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 3, 60, 60


def error_lines(
    error: ValidationError,
    model: type[BaseModel],
    *,
    whole: str = "settings",
    part: str = "setting",
    document: str = "docs/configuration.md",
) -> list[str]:
    """One line for each mistake. The data are called `whole`, a field of them `part`; `document` explains them all."""
    lines = []
    mistakes = error.errors(include_url=False, include_context=False)
    inner = {mistake["loc"][:depth] for mistake in mistakes for depth in range(len(mistake["loc"]))}
    for mistake in mistakes:
        if mistake["type"] == "too_short" and mistake["loc"] in inner:
            continue  # it is only short of the items whose own mistakes are told
        field = ".".join(shown(step) for step in mistake["loc"] if not str(step).startswith("<")) or whole
        if mistake["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields) if len(mistake["loc"]) == 1 else f"see {document}"
            lines.append(f"{field}: is no {part}; accepted: {known}")
        elif not mistake["loc"] and _names_a_field(mistake["msg"], model):
            lines.append(mistake["msg"].removeprefix(_OUR_OWN))
        else:
            given = "" if mistake["type"] == "missing" else f" (given: {shown(mistake['input'])})"
            lines.append(f"{field}: {mistake['msg'].removeprefix(_OUR_OWN)}{given}")
    lines = list(dict.fromkeys(lines))
    more = len(lines) - _LINE_LIMIT
    return lines if more <= 0 else [*lines[:_LINE_LIMIT], f"{whole}: {more} more mistakes"]


def _names_a_field(message: str, model: type[BaseModel]) -> bool:
    """Whether a mistake of the whole begins with the field that it is about."""
    return message.removeprefix(_OUR_OWN).split(":")[0] in model.model_fields


def shown(value: Any) -> str:
    """A value that a user gave, in one short line. What refers to itself, and integers of any length, are safe."""
    if isinstance(value, str) and value.isprintable() and len(value) <= 60 and value.isidentifier():
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**40 else "a number of more than 40 digits"
    try:
        text = _SHORT.repr(value)
    except Exception:  # a value may hold an integer that is too long to be printed
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:60] + "…"
