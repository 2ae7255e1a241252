"""How the dashboard is read: in a chosen theme, by keyboard, on a phone and on a large screen."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext

from benchmarks.server import Server
from tests.browser.tab import Tab

pytestmark = pytest.mark.browser


def test_a_chosen_theme_holds_on_every_page(fresh: BrowserContext, example: Server) -> None:
    tab = Tab(fresh)
    tab.open(example.page("impact"))
    tab.page.get_by_test_id("stMainMenu").click()
    tab.page.get_by_test_id("stMainMenuItem-theme-Dark").click()
    tab.page.wait_for_function("localStorage.getItem('stActiveTheme-/-v2') === '\"Dark\"'")
    for name in ("phases", "overview"):
        tab.open(example.page(name))  # by its address, not by a link within the page
        assert sum(tab.background) < 3 * 128
    tab.assert_no_errors()
