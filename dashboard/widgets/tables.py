"""Tables, with their CSV to download."""

from __future__ import annotations

import csv
import io
from typing import Any

import streamlit as st

_FORMULA_STARTS = tuple("=+-@\t\r")


def table(
    rows: list[dict[str, Any]], *, name: str, columns: dict[str, Any] | None = None, height: int | None = None
) -> None:
    """Show rows, whose keys are the headings, and a button that downloads them with all digits as `name`.csv.

    Columns with numbers show four decimals unless `columns`, Streamlit's column configuration, has them; `height` is in
    pixels.
    """
    numeric = {column for row in rows for column, value in row.items() if isinstance(value, float)}
    config: dict[str, Any] = {column: st.column_config.NumberColumn(format="%.4f") for column in numeric}
    st.dataframe(rows, hide_index=True, column_config=config | (columns or {}), height=height or "auto")
    st.download_button(
        "Download CSV",
        lambda: table_csv(rows),  # called when the button is pressed
        file_name=f"{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        key=f"csv {name}",
        on_click="ignore",
        type="tertiary",
    )


def table_csv(rows: list[dict[str, Any]]) -> bytes:
    """Return rows as CSV in UTF-8; an apostrophe precedes a text that a spreadsheet would run as a formula."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _without_formula(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode("utf-8")


def _without_formula(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
