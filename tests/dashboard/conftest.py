"""Pages run without a browser, on stores made for the test."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from store.sweep_store import SweepStore
from tests.dashboard.stores import make_store

APP = Path(__file__).parents[2] / "dashboard" / "app.py"
Opened = Callable[..., AppTest]


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder in memory where there is one: writing a store syncs every file."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture
def sweep(tmp_path: Path) -> SweepStore:
    """A finished sweep."""
    return make_store(tmp_path / "sweep")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Opens a page on a store: `opened("impact", path, component="unet")`, query parameters by name."""

    def run(page: str, store: Path | None, **query: str) -> AppTest:
        monkeypatch.setattr(sys, "argv", ["app.py", *(["--store", str(store)] if store else [])])
        app = AppTest.from_file(str(APP), default_timeout=30).run()
        if page != "overview" or query:
            for name, value in query.items():
                app.query_params[name] = value
            app.switch_page(f"pages/{page}/page.py").run()
        return app

    return run
