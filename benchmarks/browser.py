"""A headless browser for measurements, screenshots and tests of the dashboard."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from store.errors import SkipscopeError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WINDOW = (1440, 900)
NO_BROWSER = "no Chromium is installed; on Debian `apt-get install chromium` brings one"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_SETTLE_SECONDS = 180.0

WATCH = """
window.skipscopeChanged = 0;
new MutationObserver((changes) => {
  const main = document.querySelector('[data-testid=stMain]');
  if (main && changes.some((change) => main.contains(change.target))) window.skipscopeChanged = performance.now();
}).observe(document, {subtree: true, childList: true, characterData: true,
                      attributes: true, attributeFilter: ['src', 'width', 'height']});
"""
"""A script that every page runs from its start: records the time of the last change of its content."""

SETTLED = """
([since, quiet]) => {
  const app = document.querySelector('[data-testid=stApp]');
  if (!app || app.dataset.testScriptState !== 'notRunning' || !document.querySelector('[data-testid=stMain] h1'))
    return false;
  if (document.querySelector('[data-testid=stMain] [data-testid=stSkeleton]')) return false;
  const rendered = (element) => element.querySelector('canvas, svg');
  if (![...document.querySelectorAll('[data-testid=stVegaLiteChart], [data-testid=stDataFrame]')].every(rendered))
    return false;
  const changed = window.skipscopeChanged;
  return changed > since && performance.now() - changed > quiet ? changed : false;
}
"""
"""A predicate: the time of the last change if the script has ended, everything is rendered and nothing changes."""


class NoBrowser(SkipscopeError):
    """Chromium or Chrome is not installed, or Playwright is not."""


def find_browser() -> str | None:
    """Return the path of an installed Chromium or Chrome."""
    return next((path for name in _BROWSERS if (path := shutil.which(name))), None)


@contextmanager
def browsing() -> Iterator[Browser]:
    """Run a headless Chromium until the context ends. Raises NoBrowser."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise NoBrowser("playwright is not installed; `pip install -r requirements-dev.txt` brings it") from None
    path = find_browser()
    if path is None:
        raise NoBrowser(NO_BROWSER)
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []  # as root, as in most containers, it refuses to start
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        try:
            yield browser
        finally:
            browser.close()


def wait_until_settled(page: Page, *, since: float = 0.0, quiet: float = 400.0) -> float:
    """Wait until everything is rendered and nothing has changed for `quiet` milliseconds.

    Returns the time of the last change, in milliseconds from the start of the navigation; it must be after `since`.
    The page must run WATCH from its start.
    """
    handle = page.wait_for_function(SETTLED, arg=[since, quiet], timeout=_SETTLE_SECONDS * 1000)
    return float(handle.json_value())
