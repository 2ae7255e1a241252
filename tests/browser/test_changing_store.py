"""A store that changes while it is shown: it grows, vanishes and comes back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect

from benchmarks.server import Server, serving
from tests.browser.tab import Tab
from tests.dashboard.stores import PLAN, make_store, payload

pytestmark = pytest.mark.browser
_LIMIT = 60_000.0  # milliseconds, as Playwright counts


@dataclass(frozen=True)
class Shown:
    """A server and the folder that it shows."""

    server: Server
    folder: Path


@pytest.fixture(scope="module")
def empty_folder(browser: object) -> Iterator[Shown]:
    """A dashboard that shows a folder which does not exist yet."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "sweep"
        with serving(Path(parent), ["--store", str(folder)]) as server:
            yield Shown(server, folder)


@pytest.fixture
def shown(empty_folder: Shown) -> Iterator[Shown]:
    """The same; the store that the test makes in the folder is deleted afterwards."""
    yield empty_folder
    shutil.rmtree(empty_folder.folder, ignore_errors=True)


def test_a_running_sweep_is_followed(tab: Tab, shown: Shown) -> None:
    store = make_store(shown.folder, done=2)
    with store.drive("a test"):
        tab.page.goto(shown.server.page("overview"))  # it never settles: the progress is refreshed all the time
        expect(tab.page.get_by_text(f"2 of {len(PLAN)} units done")).to_be_visible(timeout=_LIMIT)
        for unit in PLAN[2:5]:
            store.record(store.write(unit, payload(unit)))
        expect(tab.page.get_by_text(f"5 of {len(PLAN)} units done")).to_be_visible(timeout=_LIMIT)
        for unit in PLAN[5:]:
            store.record(store.write(unit, payload(unit)))
    expect(tab.page.get_by_text(f"Complete: all {len(PLAN)} units are done")).to_be_visible(timeout=_LIMIT)
    tab.settle()
    tab.assert_no_errors()


def test_a_page_wakes_when_its_store_appears_and_follows_it(tab: Tab, shown: Shown) -> None:
    tab.page.goto(shown.server.page("impact"))
    expect(tab.page.get_by_text("is not a sweep").first).to_be_visible(timeout=_LIMIT)
    store = make_store(shown.folder, done=5)
    expect(tab.page.get_by_role("heading", name="Components by windows")).to_be_visible(timeout=_LIMIT)
    with store.drive("a test"):
        expect(tab.page.get_by_text("· running")).to_be_visible(timeout=_LIMIT)
        for unit in PLAN[5:-1]:
            store.record(store.write(unit, payload(unit)))
        expect(tab.page.get_by_text("Hatched: 1 not run yet")).to_be_visible(timeout=_LIMIT)
    expect(tab.page.get_by_text("· running")).to_be_hidden(timeout=_LIMIT)
    assert tab.exceptions == []


def test_a_store_that_vanishes_leaves_a_panel(tab: Tab, shown: Shown) -> None:
    make_store(shown.folder)
    tab.open(shown.server.page("impact"))
    shutil.rmtree(shown.folder)
    since = tab.now()
    tab.page.get_by_role("link", name="Evidence").click()
    tab.settle(since)
    expect(tab.page.get_by_text("is not a sweep").first).to_be_visible(timeout=_LIMIT)
    assert tab.exceptions == []

    make_store(shown.folder)
    tab.open(shown.server.page("evidence"))
    assert "is not a sweep" not in tab.text
    tab.assert_no_errors()
    assert shown.server.process.poll() is None
