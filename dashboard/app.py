"""The dashboard's entry: `python -m streamlit run dashboard/app.py -- --store DIR`."""

from __future__ import annotations

import sys
from pathlib import Path

# `streamlit run` puts this folder on the path, not the one above; an installed package needs neither.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import streamlit as st

from dashboard import pages
from dashboard.theme_watch import watch_theme

st.set_page_config(page_title="Skipscope", page_icon=pages.MARK, layout="wide")
st.html(Path(__file__).with_name("style.css"))
st.logo(pages.WORDMARK, size="large")
st.navigation(pages.all_pages(), position="top").run()
watch_theme()
