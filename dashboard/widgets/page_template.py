"""What every page shares: its head, the store opened, and a panel for whatever goes wrong."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import streamlit as st

from dashboard.data.store_path import chosen_store
from dashboard.data.sweep import Sweep, open_sweep
from dashboard.widgets import panels as content
from store.driver.driver_state import driver_state
from store.errors import SkipscopeError

_MAKE = "python -m compute sweep configs/demo.yaml --store runs/demo"


def page(title: str, lede: str, show: Callable[[Sweep], None]) -> None:
    """Draw a page: `show` is given the sweep, and what it raises for the user becomes a panel."""
    st.title(title, anchor=False)
    with errors_in_a_panel():
        path = chosen_store(sys.argv[1:])
        content.lede(lede, shown_path(path) + _state(path) if path else "")
        if path is None:
            content.panel(
                "No sweep yet", "Nothing was swept here so far. This makes one in a few minutes:", command=_MAKE
            )
            return
        show(open_sweep(path))


def _state(path: Path) -> str:
    """What everybody should know who looks at the sweep's numbers: that they still change, or that they stopped to."""
    with suppress(SkipscopeError, OSError):  # the page says what is wrong
        state = driver_state(path.absolute()).state
        return f" · {state}" if state in ("running", "died") else ""
    return ""


@contextmanager
def errors_in_a_panel() -> Iterator[None]:
    """Make a panel of what a user can do something about. A fragment needs it, too: its errors never reach the page."""
    try:
        yield
    except SkipscopeError as error:
        content.panel("This cannot be shown", str(error), tone="bad")
    except OSError as error:
        content.panel("The store cannot be read", f"{error.filename or ''}: {error.strerror or error}", tone="bad")


def shown_path(path: Path) -> str:
    """A path as a person writes it: from the folder that the server was started in, where it lies below."""
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)


def store_argument(path: Path) -> str:
    """A store's path for a command line to copy."""
    return shlex.quote(shown_path(path))
