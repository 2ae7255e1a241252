"""Headings, notes, panels and lists of a page. All of them escape their text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import streamlit as st

from dashboard.data.checked_units import DamagedShard
from dashboard.widgets.escaping import escape_html, escape_with_code
from dashboard.words.formatting import path_argument
from store.errors import SkipscopeError

Tone = Literal["neutral", "good", "bad"]
_RANGE = re.compile(r"(?<=[ (])(\d+)-(\d+)(?=[ ,.:;)])")
_UNBREAKABLE_RANGE = "\\1\u2013\u2060\\2"  # an en dash and a word joiner
_KEY = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")  # a content key, of which people need the beginning
_ESTIMATE = re.compile(r"(-?\d[\d.]*%?) (\[-?\d[^\]]*\])")
_EMPHASIZED_ESTIMATE = r"<b>\1</b> <small>\2</small>"


def section(title: str, help: str | None = None) -> None:
    """Show a heading within a page; `help` appears on its question mark."""
    st.subheader(title, anchor=False, help=help)


def note(text: str) -> None:
    """Show a text in a muted colour."""
    st.html(f'<p class="sk-note">{escape_with_code(text)}</p>')


def panel(title: str, text: str, *, tone: Tone = "neutral", command: str | None = None) -> None:
    """Show a bordered panel with a title and a text, and below it a command to copy."""
    title, text = escape_html(title), escape_with_code(_KEY.sub(r"\1…", text))
    st.html(f'<section class="sk-panel sk-{tone}" role="status"><h3>{title}</h3><p>{text}</p></section>')
    if command:
        st.code(command, language="shell", wrap_lines=True)


@contextmanager
def errors_as_panel() -> Iterator[None]:
    """Show a panel for an error that the user can act on: SkipscopeError or OSError.

    The body of a fragment needs it, too: an exception in a fragment does not reach the page.
    """
    try:
        yield
    except DamagedShard as error:
        damaged_panel([error])
    except SkipscopeError as error:
        panel("This cannot be shown", str(error), tone="bad")
    except OSError as error:
        panel("The store cannot be read", f"{error.filename or ''}: {error.strerror or error}", tone="bad")


def damaged_panel(damaged: Sequence[DamagedShard]) -> None:
    """Show one panel for all the shards of a page that are damaged, with what to do; nothing for none."""
    if not damaged:
        return
    names = list(dict.fromkeys(error.name for error in damaged))
    others = f" and {len(names) - 1} more" if len(names) > 1 else ""
    store = path_argument(damaged[0].root)
    panel(
        "A shard is damaged" if len(names) == 1 else f"{len(names)} shards are damaged",
        f"{names[0]}{others}: not what was written, so what they hold is not shown. Remove them as below, and run the "
        "sweep's command again: it runs their units anew.",
        tone="bad",
        command=f"skipscope store prune {store} --damaged",
    )


def sentence_list(sentences: Sequence[str]) -> None:
    """Show sentences as a list; a number followed by its interval in brackets is emphasized."""
    items = (_RANGE.sub(_UNBREAKABLE_RANGE, escape_with_code(sentence)) for sentence in sentences)
    rows = "".join(f"<li>{_ESTIMATE.sub(_EMPHASIZED_ESTIMATE, item)}</li>" for item in items)
    st.html(f'<ul class="sk-findings">{rows}</ul>')


def fact_list(facts: Sequence[tuple[str, str]]) -> None:
    """Show pairs of a term and its value in aligned columns."""
    rows = "".join(f"<div><dt>{escape_html(term)}</dt><dd>{escape_html(value)}</dd></div>" for term, value in facts)
    st.html(f'<dl class="sk-facts">{rows}</dl>')
