"""Every page in a real browser: in both themes, opened by a link and by a hostile link."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import BrowserContext

from benchmarks.server import PAGES, Server, serving
from tests.browser.tab import Tab

pytestmark = pytest.mark.browser

HOSTILE = ("<img src=x onerror=alert(1)>", "../../../etc/passwd", "9" * 4000, "NaN", "\x00\ud7ff' OR 1=1 --", "-1")
PARAMETERS = (
    "component",
    "window",
    "action",
    "condition",
    "metric",
    "step",
    "budget",
    "policy",
    "follow",
    "shown",
    "draft",
    "at",
    "start",
    "network_unfold",
    "budget_in",
    "compare_left",
    "compare_how",
    "store",
    "state",
)


def test_every_page_is_shown_in_the_browsers_theme(
    themed: BrowserContext, server: Server, request: pytest.FixtureRequest
) -> None:
    tab = Tab(themed)
    backgrounds = set()
    for name in PAGES:
        tab.open(server.page(name))
        assert tab.title == name.title()
        if name != "compare":  # of one sweep it only says how to show several
            assert tab.page.get_by_test_id("stVegaLiteChart").count() >= 1, name
        backgrounds.add(tab.background)
        tab.assert_no_errors()
    dark = "dark" in request.node.name
    assert all((sum(background) < 3 * 128) == dark for background in backgrounds)
    tab.page.close()


def test_a_fresh_server_answers_a_link_to_a_page(tab: Tab, finished_sweep: Path, tmp_path: Path) -> None:
    with serving(tmp_path, ["--store", str(finished_sweep)]) as server:
        tab.open(server.page("impact"))
        assert tab.title == "Impact"
        assert tab.page.get_by_role("dialog").count() == 0
        tab.assert_no_errors()


@pytest.mark.parametrize("name", PAGES)
def test_a_hostile_address_does_not_break_the_page(tab: Tab, server: Server, name: str) -> None:
    shift = PAGES.index(name)
    pairs = [(key, HOSTILE[(place + shift) % len(HOSTILE)]) for place, key in enumerate(PARAMETERS)]
    tab.open(server.page(name, "?" + "&".join(f"{key}={quote(value)}" for key, value in [*pairs, *pairs[:2]])))
    assert tab.title == name.title()
    assert tab.page.locator("img[src=x]").count() == 0
    tab.assert_no_errors()
    assert server.process.poll() is None


def test_a_link_restores_the_view(tab: Tab, server: Server) -> None:
    chosen = "component=mid_block.attentions.0&action=bypass&window=3-5&condition=1&metric=ssim&step=4&follow=x_t"
    tab.open(server.page("evidence", f"?{chosen}"))
    assert "Middle · attention 0 · bypass · steps 3–5" in tab.text
    assert tab.page.get_by_role("slider").get_attribute("aria-valuetext") == "4"
    assert tab.page.get_by_role("combobox", name="Metric").input_value() == "SSIM"
    assert "a rocket above an apple" in tab.page.get_by_role("combobox", name="Condition").input_value()
    tab.assert_no_errors()
