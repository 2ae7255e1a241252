"""What Streamlit runs for each visitor: the frame of every page, and the page."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard import navigation
from dashboard.theme.browser_theme import watch_theme
from dashboard.widgets import choices

_THEME = Path(__file__).parent / "theme"
_MARK, _WORDMARK = (str(_THEME / "assets" / name) for name in ("mark.svg", "wordmark.svg"))

st.set_page_config(page_title="Skipscope", page_icon=_MARK, layout="wide")
st.html(_THEME / "style.css")
st.logo(_WORDMARK, size="large")
page = st.navigation([navigation.page(name) for name in navigation.PAGES], position="top")
choices.enter_page(page.url_path)
st.title(page.title, anchor=False)
page.run()
watch_theme(list(navigation.PAGES))
