"""The way of a user: from a cell of the map to a policy, and to a picture that was made with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from playwright.sync_api import expect

from benchmarks.server import ROOT, Server
from tests.browser.tab import Tab

pytestmark = pytest.mark.browser

_LIMIT = 30_000


def test_from_a_cell_of_the_map_to_a_picture_by_a_policy(
    tab: Tab, server: Server, finished_sweep: Path, tmp_path: Path
) -> None:
    tab.open(server.page("impact"))
    tab.click_cell("Window: steps 3–5", "Module path: mid_block.resnets.0")
    tab.page.wait_for_url("**/evidence?**")
    tab.settle()
    choices = parse_qs(urlsplit(tab.page.url).query)
    assert (choices["component"], choices["window"]) == (["mid_block.resnets.0"], ["3-5"])
    assert "Middle · residual 0 · bypass · steps 3–5" in tab.text
    assert tab.page.get_by_role("img", name="Ablated: a cat on a blue background").count() == 1
    tab.assert_no_errors()

    since = tab.now()
    tab.page.get_by_role("link", name="Policies").click()
    tab.settle(since)
    budget = tab.page.get_by_role("slider", name="The greatest mean damage")
    budget.focus()
    budget.press("Home")
    expect(tab.page.get_by_text("No policy is within this budget")).to_be_visible(timeout=_LIMIT)
    tab.settle()
    budget.press("End")
    expect(tab.page.get_by_role("heading", name="Recommended: ")).to_be_visible(timeout=_LIMIT)
    tab.settle()

    policy = tab.download("Download policy", tmp_path)
    assert policy.read_bytes() == (finished_sweep / "policies" / "tested.json").read_bytes()
    tab.assert_no_errors()

    picture = tmp_path / "out.png"
    command = ["sample", "--policy", policy, "--prompt", "a cat on a blue background", "-o", picture]
    subprocess.run(
        [sys.executable, "-m", "compute", *map(str, command)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
        timeout=120,
    )
    with Image.open(picture) as image:
        assert (image.format, image.size) == ("PNG", (16, 16))


def test_the_report_and_a_chart_are_saved_from_the_page(tab: Tab, server: Server, tmp_path: Path) -> None:
    tab.open(server.page("overview"))
    report = tab.download("Download report", tmp_path)
    assert report.name == "store-report.html"
    opened = Tab(tab.page.context)
    opened.page.goto(report.as_uri())
    assert opened.page.locator("svg[role=img]").count() >= 6
    assert opened.page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert opened.errors == []
    opened.page.close()

    tab.open(server.page("analyses"))
    tab.page.get_by_role("button", name="Save chart").first.click()
    for button, start in (("SVG of the chart", b"<svg"), ("PNG of the chart", b"\x89PNG")):
        assert tab.download(button, tmp_path).read_bytes().startswith(start)
    tab.assert_no_errors()
