"""Stores that are made for a test, and pages opened on them without a browser."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from store.sweep_store import SweepStore
from tests.dashboard.opened_page import OpenPage
from tests.dashboard.stores import make_store

APP = Path(__file__).parents[2] / "dashboard" / "script.py"


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder in memory if there is one: writing a store syncs every file."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture
def sweep(tmp_path: Path) -> SweepStore:
    """A finished sweep."""
    return make_store(tmp_path / "sweep")


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> OpenPage:
    """Opens a page; see `OpenPage`."""

    def run(page: str, store: Path | None, /, **query: str) -> AppTest:
        monkeypatch.setattr(sys, "argv", ["app.py", *(["--store", str(store)] if store else [])])
        app = AppTest.from_file(str(APP), default_timeout=60).run()
        if page != "overview" or query:
            for name, value in query.items():
                app.query_params[name] = value
            app.switch_page(f"views/{page}/page.py").run()
        return app

    return run
