"""The template of every page: its summary, the store that it shows, and panels for errors."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import streamlit as st

from dashboard.data.arguments import BadArguments, select_stores
from dashboard.data.fingerprint import Fingerprint, store_state
from dashboard.data.sweep import Sweep, open_sweep
from dashboard.widgets import choices
from dashboard.widgets.escaping import escape_html
from dashboard.widgets.panels import errors_as_panel, panel
from dashboard.words.formatting import path_text
from store.driver.driver_state import driver_state
from store.errors import SkipscopeError

StoreState = tuple[str, tuple[Fingerprint, str]]
"""A store's path and state."""
STORE = "store"
"""The choice of the store that is shown, where there are several."""
_DEMO_COMMAND = "skipscope sweep configs/demo.yaml --store runs/demo"
_LOOK_SECONDS = 3.0
_LEAST_SECONDS = 5.0  # between two runs of a page that nobody asked for
_LARGEST_SHARE = 0.1  # of the time, spent on such runs


def render_page(summary: str, show: Callable[[Sweep], None]) -> None:
    """Render a page below its title: a one-sentence summary, then what `show` adds for the selected sweep.

    A SkipscopeError or an OSError that `show` raises is shown as a panel. When the store appears or changes, the page
    runs again by itself.
    """
    begun, seen = time.monotonic(), _seen()
    _render(summary, show)
    ended = time.monotonic()
    _follow(seen, ended + max(_LEAST_SECONDS, (ended - begun) / _LARGEST_SHARE))


def _render(summary: str, show: Callable[[Sweep], None]) -> None:
    with errors_as_panel():
        path = _choose_store()
        _show_header(summary, path_text(path) + _driver_note(path) if path else "")
        if path is None:
            panel(
                "No sweep yet",
                "There is no sweep in this folder yet. This command makes one in a few minutes:",
                command=_DEMO_COMMAND,
            )
            return
        show(open_sweep(path))


@st.fragment(run_every=_LOOK_SECONDS)
def _follow(seen: StoreState | None, earliest: float) -> None:
    """Run the page again once the store is in another state than `seen`, but not before `earliest`."""
    if time.monotonic() >= earliest and _seen() != seen:
        st.rerun()


def _choose_store() -> Path | None:
    """Return the store to show, asking where there are several, or None without one. Raises BadArguments."""
    stores = select_stores(sys.argv[1:])
    if len(stores) < 2:
        return next(iter(stores.values()), None)
    return stores[choices.select(STORE, "Sweep", list(stores), help="The page Compare shows several of them at once.")]


def _seen() -> StoreState | None:
    """Return the state of the selected store, or None without one."""
    with suppress(BadArguments):
        stores = select_stores(sys.argv[1:])
        path = stores.get(st.query_params.get(STORE, ""), next(iter(stores.values()), None))
        return None if path is None else (str(path), store_state(path.absolute()))
    return None


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
