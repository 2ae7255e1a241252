"""A tab that records its errors."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import BrowserContext, ConsoleMessage, Page

from benchmarks.browser import wait_until_settled

# Streamlit first requests its server below the address of a page, which fails, and then above it.
_SERVER_REQUEST = re.compile(r"/[a-z]+/_stcore/(health|host-config)$")


class Tab:
    """A tab of the browser; `errors` are those in its console, uncaught exceptions and dialogs."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.errors: list[str] = []
        self.page.on("console", self._record)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.errors.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def _record(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not _SERVER_REQUEST.search(message.location.get("url", "")):
            self.errors.append(f"{message.text} ({message.location.get('url')})")

    def open(self, address: str) -> None:
        """Go to an address and wait until the page has settled."""
        self.page.goto(address, wait_until="commit")
        wait_until_settled(self.page, quiet=250)

    def settle(self, since: float = 0.0) -> None:
        """Wait until the page has changed after `since` and settled."""
        wait_until_settled(self.page, since=since, quiet=250)

    def now(self) -> float:
        """The page's clock, for `settle`."""
        return float(self.page.evaluate("performance.now()"))

    @property
    def title(self) -> str:
        """The page's heading."""
        return self.page.get_by_role("heading", level=1).inner_text()

    @property
    def text(self) -> str:
        """The text of the page."""
        return self.page.get_by_test_id("stMain").inner_text()

    @property
    def exceptions(self) -> list[str]:
        """The texts of Streamlit's boxes for uncaught exceptions."""
        return self.page.get_by_test_id("stException").all_inner_texts()

    @property
    def background(self) -> tuple[int, ...]:
        """The page's background: red, green, blue."""
        color = self.page.get_by_test_id("stApp").evaluate("app => getComputedStyle(app).backgroundColor")
        return tuple(int(number) for number in re.findall(r"\d+", color)[:3])

    def assert_no_errors(self) -> None:
        """Assert that there was no error so far."""
        assert self.exceptions == []
        assert self.errors == []

    def download(self, button: str, folder: Path) -> Path:
        """Click a download button, save the file in a folder and return its path."""
        with self.page.expect_download() as started:
            self.page.get_by_role("button", name=button).first.click()
        path = folder / started.value.suggested_filename
        started.value.save_as(path)
        return path

    def click_cell(self, *texts: str) -> None:
        """Click on the first rectangle of a chart whose label holds all of some texts."""
        labelled = "".join(f'[aria-label*="{text}"]' for text in texts)
        cell = self.page.locator(f'path[aria-roledescription="rect mark"]{labelled}').first
        cell.click(position={"x": 8, "y": 6})  # its number covers the middle
