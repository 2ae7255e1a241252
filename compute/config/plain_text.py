"""Text fields of untrusted files: no control characters, limited length.

Terminals and web pages show these texts, and would act on control characters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

_CONTROLS = r"\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069"  # with marks of text direction
_REFUSED = re.compile(f"[{_CONTROLS}\ud800-\udfff]")  # JSON Schema's patterns can't name half a surrogate pair


def without_controls(text: str) -> str:
    """Return a text. Raises ValueError for one with a control character or half a surrogate pair."""
    if (found := _REFUSED.search(text)) is not None:
        what = "half a surrogate pair" if "\ud800" <= found.group() <= "\udfff" else "a control character"
        raise ValueError(f"holds {what}; printable text is accepted")
    return text


PlainText = Annotated[str, AfterValidator(without_controls), Field(json_schema_extra={"pattern": f"^[^{_CONTROLS}]*$"})]
Name = Annotated[PlainText, Field(min_length=1, max_length=200)]
Text = Annotated[PlainText, Field(max_length=2000)]
_CallNumber = bool | int | float | Text | None
CallArguments = Mapping[Name, _CallNumber | tuple[_CallNumber, ...]]
"""Further arguments of a pipeline's call."""


def printable(name: str | Path) -> str:
    """Return a path or name as an error message may show it: as it is, or its `repr` if it is not printable."""
    text = str(name)
    return text if text.isprintable() else repr(text)
