"""No page has what axe-core calls a serious or a critical violation, in either theme; nor has the report."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from benchmarks.server import PAGES, Server, serving
from dashboard.data.arguments import EXAMPLE
from dashboard.views.report.document import write_report
from tests.browser.tab import Tab

pytestmark = pytest.mark.browser

SERIOUS = ("serious", "critical")


def violations(page: Page) -> list[str]:
    """The serious violations of a page, one line for each element."""
    from axe_playwright_python.sync_playwright import Axe

    found: dict[str, Any] = Axe().run(page).response
    return [
        f"{violation['id']} ({violation['impact']}): {' '.join(node['target'])} {node['html'][:200]}"
        for violation in found["violations"]
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_serious_violation(themed: BrowserContext, example: Server, name: str) -> None:
    pytest.importorskip("axe_playwright_python", reason="requirements-dev.txt has it")
    tab = Tab(themed)
    tab.open(example.page(name))
    assert violations(tab.page) == []
    tab.page.close()


def test_two_compared_sweeps_have_no_serious_violation(themed: BrowserContext, tmp_path: Path) -> None:
    pytest.importorskip("axe_playwright_python", reason="requirements-dev.txt has it")
    other = tmp_path / "other"
    shutil.copytree(EXAMPLE, other)
    tab = Tab(themed)
    with serving(tmp_path, ["--store", str(EXAMPLE), "--store", str(other)]) as server:
        tab.open(server.page("compare"))
        assert tab.page.get_by_test_id("stVegaLiteChart").count() == 4
        assert violations(tab.page) == []
        tab.assert_no_errors()
    tab.page.close()


def test_the_report_has_no_serious_violation(light: BrowserContext, tmp_path: Path) -> None:
    pytest.importorskip("axe_playwright_python", reason="requirements-dev.txt has it")
    path = tmp_path / "report.html"
    write_report(EXAMPLE, path)
    tab = Tab(light)
    tab.page.goto(path.as_uri())
    assert violations(tab.page) == []
    tab.page.close()


def test_a_violation_is_found(light: BrowserContext) -> None:
    pytest.importorskip("axe_playwright_python", reason="requirements-dev.txt has it")
    tab = Tab(light)
    tab.page.set_content("<html lang=en><title>x</title><main><img src='data:,'><p style='color:#ccc'>pale</p></main>")
    found = " ".join(violations(tab.page))
    assert "image-alt" in found and "color-contrast" in found
    tab.page.close()
