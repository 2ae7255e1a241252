"""Text from outside in tables, HTML and Markdown."""

from __future__ import annotations

import csv
import html
import io
import re

from hypothesis import given
from hypothesis import strategies as st

from dashboard.widgets.escaping import escape_html, escape_markdown, escape_with_code
from dashboard.widgets.tables import table_csv


@given(
    st.lists(st.fixed_dictionaries({"Prompt": st.text(st.characters(exclude_categories=["Cs"])), "Value": st.floats()}))
)
def test_a_csv_reads_back_and_holds_no_formula(rows: list[dict[str, object]]) -> None:
    read = list(csv.DictReader(io.StringIO(table_csv(rows).decode("utf-8"), newline=""), restval=""))
    if rows and not any("\r" in str(row["Prompt"]) or "\n" in str(row["Prompt"]) for row in rows):
        assert [row["Prompt"].removeprefix("'") for row in read] == [str(r["Prompt"]).removeprefix("'") for r in rows]
    assert not any(row["Prompt"][:1] in ("=", "+", "-", "@") for row in read)


@given(st.text())
def test_escaped_text_holds_no_markup(text: str) -> None:
    assert not set("<>\"'") & set(escape_html(text))
    assert "`" not in escape_markdown(text).replace("\\`", "")


@given(st.text())
def test_only_code_between_backticks_becomes_markup(text: str) -> None:
    shown = escape_with_code(text)
    assert html.unescape(re.sub("</?code>", "`", shown)) == text
    assert "<" not in re.sub("</?code>", "", shown)
    assert escape_with_code("add `every: <1>` here") == "add <code>every: &lt;1&gt;</code> here"
