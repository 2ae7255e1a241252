"""The pages, in the order of the navigation, and how one page leads to another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Never

import streamlit as st

PAGES: Mapping[str, tuple[str, str]] = {
    "overview": ("Overview", ":material/dashboard:"),
    "phases": ("Phases", ":material/timeline:"),
    "impact": ("Impact", ":material/grid_on:"),
    "evidence": ("Evidence", ":material/compare:"),
    "policies": ("Policies", ":material/speed:"),
    "workbench": ("Workbench", ":material/build:"),
    "analyses": ("Analyses", ":material/query_stats:"),
    "compare": ("Compare", ":material/stacks:"),
}
"""Title and icon of each page, by its folder in `views`; the first is the default."""
_FOLDER = Path(__file__).parent


def page(name: str) -> Any:
    """Return a page as Streamlit's navigation takes it (`st.Page`)."""
    title, icon = PAGES[name]
    path = _FOLDER / "views" / name / "page.py"
    return st.Page(path, title=title, icon=icon, url_path=name, default=name == next(iter(PAGES)))


def with_store(choices: Mapping[str, str]) -> dict[str, str]:
    """Return the choices of a link with the store that is shown, which another tab would not know."""
    store = st.query_params.get("store")
    return dict(choices) if store is None else {"store": store, **choices}


def go_to(name: str, choices: Mapping[str, str]) -> Never:
    """Go to another page, with choices in its address. Nothing after this runs."""
    st.switch_page(page(name), query_params=with_store(choices))
    raise AssertionError("switch_page ends the run")
