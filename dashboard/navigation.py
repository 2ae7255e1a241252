"""The pages, in the order of the navigation, and the way from one to another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Never

import streamlit as st

_PAGES = Path(__file__).parent / "pages"
_ASSETS = Path(__file__).parent / "theme" / "assets"
MARK = str(_ASSETS / "mark.svg")
WORDMARK = str(_ASSETS / "wordmark.svg")
_TITLES = {  # file: title, icon
    "overview": ("Overview", ":material/dashboard:"),
    "phases": ("Phases", ":material/timeline:"),
    "impact": ("Impact", ":material/grid_on:"),
    "evidence": ("Evidence", ":material/compare:"),
    "policies": ("Policies", ":material/speed:"),
}


def page_of(name: str) -> Any:
    """The page of a view's file."""
    title, icon = _TITLES[name]
    return st.Page(_PAGES / name / "page.py", title=title, icon=icon, url_path=name, default=name == "overview")


def all_pages() -> list[Any]:
    """Every page in order."""
    return [page_of(name) for name in _TITLES]


def go(name: str, choices: Mapping[str, str]) -> Never:
    """Leave for another page, with choices in its address. Nothing after this runs."""
    st.switch_page(page_of(name), query_params=dict(choices))
    raise AssertionError("switch_page ends the run")
