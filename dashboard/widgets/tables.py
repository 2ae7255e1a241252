"""Tables as CSV, harmless also in a spreadsheet."""

from __future__ import annotations

import csv
import io
from typing import Any


def table_csv(rows: list[dict[str, Any]]) -> bytes:
    """Rows as CSV in UTF-8; a text that a spreadsheet would run as a formula gets an apostrophe before it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _harmless(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode("utf-8")


def _harmless(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value
