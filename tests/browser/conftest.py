"""A small real sweep with a validated policy, the dashboard that shows it, and a headless browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from benchmarks.browser import NO_BROWSER, WATCH, WINDOW, browsing, find_browser
from benchmarks.server import Server, serving
from dashboard.data.arguments import EXAMPLE
from tests.sweep.conftest import tiny_model  # noqa: F401  (a fixture)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

    from tests.browser.tab import Tab

PROMPTS = ["a cat on a blue background", "a rocket above an apple on a gray background"]
SETTINGS: dict[str, Any] = {
    "sampler": {"name": "ddpm", "steps": 6},
    "prompts": PROMPTS,
    "seeds": [3],
    "conditions_per_unit": 2,
    "components": ["down_blocks.0.*", "mid_block.*", "up_blocks.1.upsamplers.0", "skip:conv_in", "unet"],
    "windows": {"count": 2},
    "actions": ["bypass", "zero"],
    "screen": [{"name": "reuse", "space": "x0", "components": ["unet"]}],
    "prompt_switch": {"every": 1},
    "metrics": ["mse", "ssim", "fidelity_all"],
    "threads_per_worker": 1,
}
OpenTab = Callable[..., "Tab"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium; skips the test if none is installed."""
    pytest.importorskip("playwright", reason="playwright is not installed; requirements-dev.txt has it")
    if find_browser() is None:
        pytest.skip(NO_BROWSER)
    with browsing() as chromium:
        yield chromium


@pytest.fixture(scope="session")
def finished_sweep(browser: Browser, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """A finished sweep with a policy that the commands recommended and validated. Tests only read it."""
    import torch
    from typer.testing import CliRunner

    from compute.cli.main import app

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("browser")
    config, store = folder / "config.yaml", folder / "store"
    config.write_text(yaml.safe_dump({"model": str(tiny_model), **SETTINGS}))
    policy = store / "policies" / "tested.json"
    for command in (
        ["sweep", config, "--store", store, "--address", "serial"],
        ["recommend", store, "--max-damage", 900, "-o", policy],
        ["validate", policy, "--count", 3, "--batch", 3],
    ):
        result = CliRunner().invoke(app, [str(word) for word in command])
        assert result.exit_code == 0, result.exception
    return store


@pytest.fixture(scope="session")
def server(finished_sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A dashboard that shows that sweep."""
    with serving(tmp_path_factory.mktemp("server"), ["--store", str(finished_sweep)]) as server:
        yield server


@pytest.fixture(scope="session")
def example(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A dashboard that shows the bundled example."""
    with serving(tmp_path_factory.mktemp("example"), ["--store", str(EXAMPLE)]) as server:
        yield server


@pytest.fixture(scope="session", params=["light", "dark"])
def themed(request: pytest.FixtureRequest, browser: Browser) -> Iterator[BrowserContext]:
    """A browser that prefers a light or a dark theme."""
    yield from _context(browser, request.param)


@pytest.fixture(scope="session")
def light(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that prefers a light theme."""
    yield from _context(browser, "light")


@pytest.fixture
def fresh(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that prefers a light theme and has stored nothing."""
    yield from _context(browser, "light")


def _context(browser: Browser, scheme: Any) -> Iterator[BrowserContext]:
    """A browser of its own, until the test ends."""
    context = browser.new_context(
        viewport={"width": WINDOW[0], "height": WINDOW[1]}, color_scheme=scheme, reduced_motion="reduce"
    )
    context.add_init_script(WATCH)
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def tab(light: BrowserContext) -> Iterator[Tab]:
    """A fresh tab."""
    from tests.browser.tab import Tab

    opened = Tab(light)
    yield opened
    opened.page.close()
