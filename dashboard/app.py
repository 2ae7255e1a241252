"""The dashboard's entry: `python -m streamlit run dashboard/app.py -- --store DIR`."""

from __future__ import annotations

import sys
from pathlib import Path

# `streamlit run` puts this folder on the path, not the one above; an installed package needs neither.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import streamlit as st

from dashboard import navigation
from dashboard.theme.browser_theme import watch_theme

st.set_page_config(page_title="Skipscope", page_icon=navigation.MARK, layout="wide")
st.html(Path(__file__).parent / "theme" / "style.css")
st.logo(navigation.WORDMARK, size="large")
st.navigation(navigation.all_pages(), position="top").run()
watch_theme()
