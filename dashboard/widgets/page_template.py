"""The template of every page: its summary, the store that it shows, and panels for errors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import streamlit as st

from dashboard.data.arguments import select_store
from dashboard.data.sweep import Sweep, open_sweep
from dashboard.widgets.escaping import escape_html
from dashboard.widgets.panels import errors_as_panel, panel
from dashboard.words.formatting import path_text
from store.driver.driver_state import driver_state
from store.errors import SkipscopeError

_DEMO_COMMAND = "skipscope sweep configs/demo.yaml --store runs/demo"


def render_page(summary: str, show: Callable[[Sweep], None]) -> None:
    """Render a page below its title: a one-sentence summary, then what `show` adds for the selected sweep.

    A SkipscopeError or an OSError that `show` raises is shown as a panel.
    """
    with errors_as_panel():
        path = select_store(sys.argv[1:])
        _show_header(summary, path_text(path) + _driver_note(path) if path else "")
        if path is None:
            panel(
                "No sweep yet",
                "There is no sweep in this folder yet. This command makes one in a few minutes:",
                command=_DEMO_COMMAND,
            )
            return
        show(open_sweep(path))


def _show_header(summary: str, store: str) -> None:
    st.html(
        f'<div class="sk-lede"><p>{escape_html(summary)}</p>'
        f'<code title="The store that is shown">{escape_html(store)}</code></div>'
    )


def _driver_note(path: Path) -> str:
    """Return the driver's state if it matters on every page: numbers still change, or the sweep ended early."""
    with suppress(SkipscopeError, OSError):  # opening the sweep raises it again
        state = driver_state(path.absolute()).state
        return f" · {state}" if state in ("running", "died") else ""
    return ""
