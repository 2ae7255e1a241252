"""A tab that notes what goes wrong in it."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import BrowserContext, ConsoleMessage, Page

from benchmarks.browser import wait_until_settled

# Streamlit looks for its server below the address of a page first, and finds it above.
_LOOKS_FOR_ITS_SERVER = re.compile(r"/[a-z]+/_stcore/(health|host-config)$")


class Tab:
    """A page of the browser; `troubles` are errors in its console and uncaught ones."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.troubles: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.troubles.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not _LOOKS_FOR_ITS_SERVER.search(message.location.get("url", "")):
            self.troubles.append(f"{message.text} ({message.location.get('url')})")

    def open(self, address: str) -> None:
        """Go there and wait until all is drawn."""
        self.page.goto(address, wait_until="commit")
        wait_until_settled(self.page, quiet=250)

    def settle(self, since: float = 0.0) -> None:
        """Wait until what was begun is drawn; a change after `since` is waited for."""
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
        """All that the page says."""
        return self.page.get_by_test_id("stMain").inner_text()

    @property
    def exceptions(self) -> list[str]:
        """What stands in Streamlit's boxes of uncaught exceptions."""
        return self.page.get_by_test_id("stException").all_inner_texts()

    @property
    def background(self) -> tuple[int, ...]:
        """The page's background: red, green, blue."""
        found = self.page.get_by_test_id("stApp").evaluate("it => getComputedStyle(it).backgroundColor")
        return tuple(int(number) for number in re.findall(r"\d+", found)[:3])

    def assert_well(self) -> None:
        """Nothing went wrong so far."""
        assert self.exceptions == []
        assert self.troubles == []

    def download(self, button: str, folder: Path) -> Path:
        """What a button gives to download."""
        with self.page.expect_download() as started:
            self.page.get_by_role("button", name=button).first.click()
        path = folder / started.value.suggested_filename
        started.value.save_as(path)
        return path

    def click_cell(self, *said: str) -> None:
        """Click on the first rectangle of a chart whose label has these texts."""
        labelled = "".join(f'[aria-label*="{text}"]' for text in said)
        cell = self.page.locator(f'path[aria-roledescription="rect mark"]{labelled}').first
        cell.click(position={"x": 8, "y": 6})  # in its middle stands a number
