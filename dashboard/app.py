"""The dashboard's entry: `python -m streamlit run dashboard/app.py -- --store DIR [--allow-host NAME]`."""

from __future__ import annotations

import sys
from pathlib import Path

# `streamlit run` adds this folder to the path, not the one above it. An installed package needs neither.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import streamlit as st
from starlette.middleware import Middleware

from dashboard.access import AccessCheck
from dashboard.data.arguments import allowed_hosts

app = st.App(
    Path(__file__).resolve().with_name("script.py"),
    middleware=[Middleware(AccessCheck, allowed=allowed_hosts(sys.argv[1:]))],
)
