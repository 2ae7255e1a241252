"""The workbench and the comparison of policies in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from benchmarks.server import Server
from compute.policy.skip_policy import SkipPolicy
from dashboard.data.arguments import EXAMPLE
from tests.browser.tab import Tab

pytestmark = pytest.mark.browser
_LIMIT = 30_000.0  # milliseconds


def test_from_what_can_rest_to_a_policy_file(fresh: BrowserContext, example: Server, tmp_path: Path) -> None:
    tab = Tab(fresh)
    tab.open(example.page("impact"))
    tab.page.get_by_role("button", name="Take them to the workbench").click()
    tab.page.wait_for_url("**/workbench?draft=*")
    expect(tab.page.get_by_text("15 whole, 10 in part, 0 dropped")).to_be_visible(timeout=_LIMIT)
    tab.settle()
    tile = tab.page.locator('.st-key-workbench-map path[aria-label^="Down 1 · residual 1"]')
    tile.click(position={"x": 5, "y": 5})
    expect(tab.page.get_by_test_id("stMultiSelect").get_by_text("Down 1 · residual 1")).to_be_visible(timeout=_LIMIT)
    since = tab.now()
    tab.page.get_by_role("button", name="Apply").click()
    tab.settle(since)
    expect(tab.page.get_by_text("12 whole, 13 in part, 0 dropped")).to_be_visible(timeout=_LIMIT)
    policy = SkipPolicy.load(tab.download("Download policy", tmp_path))
    assert policy.model == SkipPolicy.load(EXAMPLE / "policies" / "mse-damage-0.01.json").model
    assert "down_blocks.1.resnets.1" in policy.schedule.at(12)
    assert "down_blocks.1.resnets.1" not in policy.schedule.at(11)
    tab.assert_no_errors()


def test_two_runs_are_wiped_and_zoomed(fresh: BrowserContext, example: Server) -> None:
    tab = Tab(fresh)
    tab.open(example.page("policies"))
    over = tab.page.locator("img.over")
    wipe = tab.page.get_by_role("slider", name="Wipe between pictures")
    before = over.evaluate("picture => picture.style.clipPath")
    wipe.focus()
    wipe.press("Home")
    assert over.evaluate("picture => picture.style.clipPath") != before
    width = over.evaluate("picture => picture.clientWidth")
    tab.page.get_by_role("slider", name="Zoom").press("End")
    assert over.evaluate("picture => picture.clientWidth") == 8 * width
    tab.assert_no_errors()
