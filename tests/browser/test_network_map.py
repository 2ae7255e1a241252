"""The network as a map in a real browser: played without the server, pinned by mouse and by keyboard."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from benchmarks.server import Server
from tests.browser.tab import Tab

pytestmark = pytest.mark.browser
_LIMIT = 30_000.0  # milliseconds

_TILES = '.st-key-network path[aria-roledescription="rect mark"]'
_SLIDER = ".st-key-network .vega-bindings input"


def colors(page: Page) -> list[str | None]:
    """The colours of the map's tiles."""
    return [tile.get_attribute("fill") for tile in page.locator(_TILES).all()]


def test_the_map_is_played_in_the_browser_alone(fresh: BrowserContext, example: Server) -> None:
    tab = Tab(fresh)
    sent: list[object] = []
    tab.page.on("websocket", lambda socket: socket.on("framesent", lambda data: sent.append(data)))
    tab.open(example.page("impact"))
    slider = tab.page.locator(_SLIDER)
    early, before, begun = colors(tab.page), len(sent), time.monotonic()
    slider.focus()
    for _ in range(6):
        tab.page.keyboard.press("ArrowRight")
    assert slider.input_value() == "8" and colors(tab.page) != early
    tab.page.get_by_role("button", name="Play").click()
    tab.page.wait_for_function(f"Number(document.querySelector('{_SLIDER}').value) > 9")
    tab.page.get_by_role("button", name="Pause").click()
    looks = 1 + (time.monotonic() - begun) / 3  # the page looks for changes of the store every three seconds
    assert len(sent) - before <= looks
    tab.assert_no_errors()


def test_a_click_pins_and_shows_the_film_strip(fresh: BrowserContext, example: Server) -> None:
    tab = Tab(fresh)
    tab.open(example.page("impact"))
    tab.page.locator(f'{_TILES}[aria-label^="Middle · attention 0, steps 0–4"]').click(position={"x": 5, "y": 5})
    drawer = tab.page.locator(".st-key-pinned-component")
    expect(drawer.get_by_text("Middle · attention 0 · bypass · steps 0–4")).to_be_visible(timeout=_LIMIT)
    expect(drawer.get_by_role("img", name="Baseline, step 0")).to_be_visible(timeout=_LIMIT)
    tab.page.wait_for_url("**/impact?**component=mid_block.attentions.0**")
    tab.settle()
    drawer.get_by_role("button", name="All its pictures").click()
    tab.page.wait_for_url("**/evidence?**component=mid_block.attentions.0**")
    heading = tab.page.get_by_role("heading", name="Middle · attention 0 · bypass · steps 0–4")
    expect(heading).to_be_visible(timeout=_LIMIT)
    tab.assert_no_errors()


def test_the_keyboard_walks_over_the_map_and_pins(fresh: BrowserContext, example: Server) -> None:
    tab = Tab(fresh)
    tab.open(example.page("impact"))
    tab.page.locator('.st-key-network path[tabindex="0"]').first.focus()
    tab.page.keyboard.press("ArrowDown")
    tab.page.keyboard.press("ArrowRight")
    label = str(tab.page.evaluate("document.activeElement.getAttribute('aria-label')"))
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator(".st-key-pinned-component").get_by_text(label.split(",")[0])).to_be_visible(timeout=_LIMIT)
    tab.assert_no_errors()
