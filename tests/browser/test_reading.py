"""How the dashboard is read: in a chosen theme, by keyboard, on a phone and on a large screen."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Page

from benchmarks.server import PAGES, Server
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


def test_the_keyboard_reaches_a_cell_and_opens_its_evidence(fresh: BrowserContext, example: Server) -> None:
    tab = Tab(fresh)
    tab.open(example.page("impact"))
    cell = tab.page.locator('.st-key-impact-map path[tabindex="0"]').first
    cell.focus()
    first = _focused(tab.page)
    tab.page.keyboard.press("ArrowRight")
    second = _focused(tab.page)
    tab.page.keyboard.press("ArrowDown")
    assert "steps 0–4" in first and "steps 5–9" in second and "steps 5–9" in _focused(tab.page)
    assert len({first, second, _focused(tab.page)}) == 3
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url("**/evidence?**window=5-9**")
    tab.assert_no_errors()


def _focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.getAttribute('aria-label')"))


@pytest.mark.parametrize("width", [390, 1920])
def test_nothing_is_clipped_or_far_apart(fresh: BrowserContext, example: Server, width: int) -> None:
    tab = Tab(fresh)
    tab.page.set_viewport_size({"width": width, "height": 900})
    for name in PAGES:
        tab.open(example.page(name))
        left, right = tab.page.evaluate(_ENDS)
        assert right - left <= 1440, name
        assert tab.page.evaluate(_CLIPPED) == [], name
    tab.assert_no_errors()


_ENDS = """() => {
  const box = document.querySelector('[data-testid=stMainBlockContainer]').getBoundingClientRect()
  return [box.left, box.right]
}"""
# Texts beyond the right end of the page. Tables scroll by themselves.
_CLIPPED = """() => {
  const end = document.querySelector('[data-testid=stMainBlockContainer]').getBoundingClientRect().right
  const kinds = 'p, li, h1, h2, h3, h4, span, button, text, dd, code'
  const texts = document.querySelectorAll(`[data-testid=stMain] :is(${kinds})`)
  return [...texts].filter((text) => !text.closest('[data-testid=stDataFrame]'))
    .filter((text) => text.getBoundingClientRect().width > 0 && text.getBoundingClientRect().right > end + 1)
    .map((text) => text.textContent.slice(0, 60))
}"""
