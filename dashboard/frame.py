"""What every page shares: its head, the store opened, and a panel for whatever goes wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable

import streamlit as st

from dashboard import parts
from dashboard.data import Sweep, open_sweep
from dashboard.source import chosen_store
from store.errors import SkipscopeError

_MAKE = "python -m compute sweep configs/demo.yaml --store runs/demo"


def page(title: str, lede: str, show: Callable[[Sweep], None]) -> None:
    """Draw a page: `show` is given the sweep, and what it raises for the user becomes a panel."""
    st.title(title, anchor=False)
    parts.note(lede)
    try:
        path = chosen_store(sys.argv[1:])
        if path is None:
            parts.panel(
                "No sweep yet", "Nothing was swept here so far. This makes one in a few minutes:", command=_MAKE
            )
            return
        show(open_sweep(path))
    except SkipscopeError as error:
        parts.panel("This cannot be shown", str(error), tone="bad")
    except OSError as error:
        parts.panel("The store cannot be read", f"{error.filename or ''}: {error.strerror or error}", tone="bad")
