"""Small pieces of a page: panels, facts, charts, tables with a download."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Any, Literal

import streamlit as st

from dashboard.theme.browser_theme import shown_theme
from dashboard.theme.palette import Figure, Palette, palette_of, themed
from dashboard.widgets.tables import table_csv

_RANGE = re.compile(r"(?<=[ (])(\d+)-(\d+)(?=[ ,.:;)])")  # "steps 0-4", which may not break
_ESTIMATE = re.compile(r"(-?\d[\d.]*%?) (\[-?\d[^\]]*\])")
_EMPHASIS = r"<b>\1</b> <small>\2</small>"
Tone = Literal["neutral", "good", "bad", "busy"]
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~:$^])")


def palette() -> Palette:
    """The colours of the theme that the browser shows."""
    return palette_of(shown_theme())


def plain(text: str) -> str:
    """A text from outside for Markdown: shown as it is, on one line, whatever it contains."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def escaped(text: object) -> str:
    """A text from outside for HTML."""
    return html.escape(str(text), quote=True)


def panel(title: str, text: str, *, tone: Tone = "neutral", command: str | None = None) -> None:
    """A bordered panel that says what is so and what to do; `title`, `text` may come from outside."""
    st.html(
        f'<section class="sk-panel sk-{tone}" role="status"><h3>{escaped(title)}</h3><p>{escaped(text)}</p></section>'
    )
    if command:
        st.code(command, language="shell", wrap_lines=True)


def note(text: str) -> None:
    """A quiet line of our own words (no HTML, no Markdown)."""
    st.html(f'<p class="sk-note">{escaped(text)}</p>')


def lede(text: str, store: str) -> None:
    """The sentence below a page's title, and at the right which store is shown."""
    st.html(
        f'<div class="sk-lede"><p>{escaped(text)}</p>'
        f'<code title="The store that is shown">{escaped(store)}</code></div>'
    )


def findings(sentences: Sequence[str]) -> None:
    """Sentences as a list; numbers that have an interval stand out, the interval stands back."""
    spans = (_RANGE.sub("\\1\u2013\u2060\\2", escaped(sentence)) for sentence in sentences)
    items = "".join(f"<li>{_ESTIMATE.sub(_EMPHASIS, sentence)}</li>" for sentence in spans)
    st.html(f'<ul class="sk-findings">{items}</ul>')


def section(title: str, help: str | None = None) -> None:
    """A heading within a page, with a help bubble for who stops there."""
    st.subheader(title, anchor=False, help=help)


def facts(pairs: Sequence[tuple[str, str]]) -> None:
    """Aligned pairs of a term and what it is here."""
    rows = "".join(f"<div><dt>{escaped(term)}</dt><dd>{escaped(value)}</dd></div>" for term, value in pairs)
    st.html(f'<dl class="sk-facts">{rows}</dl>')


def chart(figure: Figure, *, key: str | None = None, select: bool = False, alt_text: str = "") -> Any:
    """Draw a chart of ours over the full width; with `select`, returns what was clicked."""
    figure = themed(figure, palette())
    if select:
        return st.altair_chart(figure, width="stretch", theme=None, key=key, on_select="rerun", alt=alt_text or None)
    return st.altair_chart(figure, width="stretch", theme=None, key=key, alt=alt_text or None)


def table(
    rows: list[dict[str, Any]], *, name: str, columns: dict[str, Any] | None = None, height: int | None = None
) -> None:
    """A table of rows (keys are the headings), and its CSV with all digits to download as `name`.csv.

    Numbers have four digits after the point, unless `columns` says otherwise of one.
    """
    numbers = {column for row in rows for column, value in row.items() if isinstance(value, float)}
    shown: dict[str, Any] = {column: st.column_config.NumberColumn(format="%.4f") for column in numbers} | (
        columns or {}
    )
    st.dataframe(rows, hide_index=True, column_config=shown, height=height or "auto")
    st.download_button(
        "Download CSV",
        lambda: table_csv(rows),  # made when it is asked for
        file_name=f"{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        key=f"csv {name}",
        on_click="ignore",
        type="tertiary",
    )
