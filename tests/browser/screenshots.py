"""Takes the documentation's pictures of the dashboard: `make screenshots`.

    python -m tests.browser.screenshots [--store DIR] [--output DIR]

Each page as tall as it is, up to a limit; small PNGs of 256 colours.
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

from compute.bench.browser import WATCH, WINDOW, Server, browsing, serving, wait_until_settled

_COLOURS = 256
# Page, colour scheme, file, greatest height.
_SHOTS = (
    ("overview", "light", "overview", 1250),
    ("phases", "light", "phases", 1800),
    ("impact", "light", "impact", 1050),
    ("evidence", "light", "evidence", 1700),
    ("policies", "light", "policies", 1900),
    ("impact", "dark", "impact-dark", 1050),
    ("phases", "dark", "phases-dark", 1800),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Take all of them."""
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
            _small(_shot(browser, server, name, scheme, tallest)).save(path, optimize=True)
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def _shot(browser: Browser, server: Server, name: str, scheme: str, tallest: int) -> bytes:
    """A page's PNG: as tall as its content, which scrolls within the window."""
    width, height = WINDOW
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    context.add_init_script(WATCH)
    page = context.new_page()
    page.goto(server.page(name))
    wait_until_settled(page)
    content = page.get_by_test_id("stMainBlockContainer").evaluate("it => it.getBoundingClientRect().bottom")
    page.set_viewport_size({"width": width, "height": min(tallest, max(height, int(content)))})
    wait_until_settled(page)
    page.mouse.move(width - 2, 2)  # where nothing lights up
    shot = page.screenshot()
    context.close()
    return shot


def _small(png: bytes) -> Image.Image:
    """The picture with so few colours that its file is small."""
    with Image.open(io.BytesIO(png)) as image:
        return image.convert("RGB").quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


if __name__ == "__main__":
    main()
