"""A dashboard's server on a free port and a headless browser: for measurements, screenshots and tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard import navigation
from store.errors import SkipscopeError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[1]
APP = ROOT / "dashboard" / "app.py"
PAGES = tuple(navigation.PAGES)
WINDOW = (1440, 900)
NO_BROWSER = "no Chromium is installed; on Debian `apt-get install chromium` brings one"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_START_SECONDS = 60.0
_SETTLE_SECONDS = 180.0

WATCH = """
window.skipscopeChanged = 0;
new MutationObserver((changes) => {
  const main = document.querySelector('[data-testid=stMain]');
  if (main && changes.some((change) => main.contains(change.target))) window.skipscopeChanged = performance.now();
}).observe(document, {subtree: true, childList: true, characterData: true,
                      attributes: true, attributeFilter: ['src', 'width', 'height']});
"""
"""Run in every page from its beginning: notes when anything that the page shows has changed last."""

SETTLED = """
([since, quiet]) => {
  const app = document.querySelector('[data-testid=stApp]');
  if (!app || app.dataset.testScriptState !== 'notRunning' || !document.querySelector('[data-testid=stMain] h1'))
    return false;
  if (document.querySelector('[data-testid=stMain] [data-testid=stSkeleton]')) return false;
  const drawn = (place) => place.querySelector('canvas, svg');
  if (![...document.querySelectorAll('[data-testid=stVegaLiteChart], [data-testid=stDataFrame]')].every(drawn))
    return false;
  const changed = window.skipscopeChanged;
  return changed > since && performance.now() - changed > quiet ? changed : false;
}
"""
"""Whether the script has ended, all is drawn, and nothing changed for a while: when the last change was."""


class NoBrowser(SkipscopeError):
    """Neither Chromium nor Chrome is installed, or Playwright is not."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running dashboard."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def page(self, name: str, query: str = "") -> str:
        """The address of a page; `query` begins with "?"."""
        return f"{self.url}/{'' if name == 'overview' else name}{query}"


@contextmanager
def serving(folder: Path, arguments: Sequence[str], *, app: Path = APP) -> Iterator[Server]:
    """A Streamlit server with these arguments behind `--`, ended with the context; its log goes into `folder`.

    Raises SkipscopeError where it does not answer.
    """
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(app), "--server.port", str(port), "--", *arguments]
    log = folder / f"server-{port}.log"
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        server = Server(url=f"http://127.0.0.1:{port}", process=process, log=log)
        _wait_until_up(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_up(server: Server) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while server.process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise SkipscopeError(f"the dashboard's server does not answer: {server.log.read_text(errors='replace')[-500:]}")


def find_browser() -> str | None:
    """The path of an installed Chromium or Chrome."""
    return next((path for name in _BROWSERS if (path := shutil.which(name))), None)


@contextmanager
def browsing() -> Iterator[Browser]:
    """A headless Chromium. Raises NoBrowser."""
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
    """Wait until all is drawn and stays so for `quiet` milliseconds.

    Returns when the last change was, in milliseconds from the navigation's start; a change after `since` is waited for.
    The page needs WATCH from its beginning.
    """
    handle = page.wait_for_function(SETTLED, arg=[since, quiet], timeout=_SETTLE_SECONDS * 1000)
    return float(handle.json_value())
