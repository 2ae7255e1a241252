"""Takes the screenshots of the documentation: `make screenshots`.

    python -m tests.browser.screenshots [--store DIR] [--output DIR]

A screenshot is as tall as its page, up to a limit.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser

from benchmarks.browser import WATCH, WINDOW, browsing, wait_until_settled
from benchmarks.server import Server, serving

_MAX_BYTES = 250_000  # of a file with all its colours
# Page, colour scheme, file, greatest height in pixels.
_SHOTS = (
    ("overview", "light", "overview", 1250),
    ("phases", "light", "phases", 1800),
    ("impact", "light", "impact", 1050),
    ("evidence", "light", "evidence", 1700),
    ("policies", "light", "policies", 2320),
    ("impact", "dark", "impact-dark", 1050),
    ("phases", "dark", "phases-dark", 1800),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Take all screenshots."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, default=Path("runs/demo"), help="a finished sweep with policies")
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(serving(scratch, ["--store", str(options.store)]))
        browser = stack.enter_context(browsing())
        for name, scheme, file, tallest in _SHOTS:
            path = options.output / f"dashboard-{file}.png"
            _saved(_shot(browser, server, name, scheme, tallest), path)
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def _shot(browser: Browser, server: Server, name: str, scheme: str, tallest: int) -> bytes:
    """Return the PNG of a page, as tall as its content, which scrolls within the window."""
    width, height = WINDOW
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    context.add_init_script(WATCH)
    page = context.new_page()
    page.goto(server.page(name))
    wait_until_settled(page)
    content = page.get_by_test_id("stMainBlockContainer").evaluate("content => content.getBoundingClientRect().bottom")
    page.set_viewport_size({"width": width, "height": min(tallest, max(height, int(content)))})
    wait_until_settled(page)
    page.mouse.move(width - 2, 2)  # where nothing reacts to the mouse
    shot = page.screenshot()
    context.close()
    return shot


def _saved(png: bytes, path: Path) -> None:
    """Write a picture, with 256 colours if its file would be too large."""
    with Image.open(io.BytesIO(png)) as image:
        picture = image.convert("RGB")
    picture.save(path, optimize=True)
    if path.stat().st_size > _MAX_BYTES:
        # Without two rounds of k-means, the few pixels of a legend's marks take the colours of the pictures.
        picture.quantize(256, kmeans=2, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
