"""The speed of the dashboard: first paint of each page, and interactions, in a headless Chromium.

    python -m benchmarks.large_store DIR
    python -m benchmarks.dashboard_speed DIR [--repeats N] [--json]

A visit is timed from the start of the navigation to the last change of the page, with all charts and tables rendered;
an interaction from the key or click to the last change. On a shared machine seconds vary, so each visit follows one of
an empty Streamlit page, and the report gives the ratio. `server` and `browser` are the processor time of the
dashboard's process and of all of Chromium's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from benchmarks.browser import WATCH, WINDOW, browsing, wait_until_settled
from benchmarks.server import PAGES, Server, serving
from compute.provenance import provenance
from store.errors import SkipscopeError
from store.sweep_store import SweepStore

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

Floats = npt.NDArray[np.float64]
FIRST_PAINT_TARGET = 2.0
INTERACTION_TARGET = 0.5
_EMPTY = 'import streamlit as st\n\nst.title("Nothing")\n'


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path, metavar="DIR", help="a sweep with several metrics")
    parser.add_argument("--repeats", type=int, default=5, help="of each visit and interaction")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    try:
        report = measure(options.store, max(1, options.repeats))
    except SkipscopeError as error:
        sys.exit(f"skipscope: {error}")
    print(json.dumps(report, indent=1) if options.json else describe(report))


def measure(folder: Path, repeats: int) -> dict[str, Any]:
    """Return the report as plain data; times are in seconds. Raises NoBrowser, StoreError."""
    units = len(SweepStore.open(folder).header.plan)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        empty = scratch / "empty.py"
        empty.write_text(_EMPTY)
        dashboard = stack.enter_context(serving(scratch, ["--store", str(folder.absolute())]))
        empty_page = stack.enter_context(serving(scratch, [], app=empty))
        browser = stack.enter_context(browsing())
        version = browser.version
        context = browser.new_context(viewport={"width": WINDOW[0], "height": WINDOW[1]})
        context.add_init_script(WATCH)
        visitor = _Visitor(context=context, dashboard=dashboard, empty_page=empty_page)
        visitor.visit(empty_page, "overview")
        pages = {name: visitor.visits(name, repeats) for name in PAGES}
        interactions = {
            "Impact: another metric": visitor.interaction("impact", _select_metric, repeats),
            "Evidence: another step": visitor.interaction("evidence", _move_step, repeats),
        }
    return {
        "benchmark": "dashboard",
        "units": units,
        "repeats": repeats,
        "targets": {"first_paint": FIRST_PAINT_TARGET, "interaction": INTERACTION_TARGET},
        "pages": pages,
        "interactions": interactions,
        "chromium": version,
        "provenance": provenance(),
    }


@dataclass(frozen=True, kw_only=True)
class _Visitor:
    """A browser that visits the dashboard and an empty page."""

    context: BrowserContext
    dashboard: Server
    empty_page: Server

    def visit(self, server: Server, name: str) -> tuple[float, Floats]:
        """Return the seconds of one visit in a new tab, and its processor time."""
        page = self.context.new_page()
        try:
            before = _processor_seconds(server)
            page.goto(server.page(name), wait_until="commit")
            return wait_until_settled(page) / 1000, _processor_seconds(server) - before
        finally:
            page.close()

    def visits(self, name: str, repeats: int) -> dict[str, Any]:
        """Return the first visit since the server's start, and medians of visits in turn with the empty page."""
        first, _ = self.visit(self.dashboard, name)
        empty, seconds, processor = [], [], []
        for _ in range(repeats):
            empty.append(self.visit(self.empty_page, "overview")[0])
            visit_seconds, visit_processor = self.visit(self.dashboard, name)
            seconds.append(visit_seconds)
            processor.append(visit_processor)
        ratios = [page / reference for page, reference in zip(seconds, empty, strict=True)]
        return {
            "first": first,
            "seconds": statistics.median(seconds),
            "empty_page": statistics.median(empty),
            "ratio": statistics.median(ratios),
            **_medians(processor),
        }

    def interaction(self, name: str, act: Callable[[Page, int], float], repeats: int) -> dict[str, float]:
        """Return the first of an interaction, which may fill caches, and the median of `repeats` others.

        `act` performs it and returns its time by the page's clock, in milliseconds.
        """
        page = self.context.new_page()
        try:
            page.goto(self.dashboard.page(name), wait_until="commit")
            wait_until_settled(page)
            seconds, processor = [], []
            for number in range(repeats + 1):
                before = _processor_seconds(self.dashboard)
                since = act(page, number)
                seconds.append((wait_until_settled(page, since=since) - since) / 1000)
                processor.append(_processor_seconds(self.dashboard) - before)
        finally:
            page.close()
        return {
            "first": seconds[0],
            "seconds": statistics.median(seconds[1:]),
            **_medians(processor[1:]),
        }


def _select_metric(page: Page, number: int) -> float:
    """Select one of the first two metrics, in turn."""
    page.get_by_role("combobox", name="Metric").click()
    options = page.get_by_role("option")
    options.first.wait_for()
    since = _now(page)
    options.nth((number + 1) % 2).click()
    return since


def _move_step(page: Page, number: int) -> float:
    """Move the slider by one step, forwards and backwards in turn."""
    slider = page.get_by_role("slider")
    slider.focus()
    since = _now(page)
    slider.press("ArrowLeft" if number % 2 else "ArrowRight")
    return since


def _now(page: Page) -> float:
    return float(page.evaluate("performance.now()"))


def _processor_seconds(server: Server) -> Floats:
    """Return the processor time so far of the server and of the browser's running processes: (server, browser)."""
    import psutil  # type: ignore[import-untyped]

    seconds = np.zeros(2)
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # a tab's process may end at any time
            times = process.cpu_times()
            if process.pid == server.process.pid:
                seconds[0] += times.user + times.system
            elif "chrom" in process.name():
                seconds[1] += times.user + times.system
    return seconds


def _medians(processor: Sequence[Floats]) -> dict[str, float]:
    server, browser = np.median(processor, axis=0)
    return {"server": float(server), "browser": float(browser)}


def describe(report: dict[str, Any]) -> str:
    """Return the report as text."""
    lines = [
        f"{report['units']} units, medians of {report['repeats']}, Chromium {report['chromium']}, headless",
        "",
        f"{'first paint':<24}{'first visit':>12}{'again':>9}{'empty page':>12}{'ratio':>8}{'server':>9}{'browser':>10}",
    ]
    for name, times in report["pages"].items():
        lines.append(
            f"{name.title():<24}{times['first']:>10.2f} s{times['seconds']:>7.2f} s{times['empty_page']:>10.2f} s"
            f"{times['ratio']:>8.2f}{times['server']:>7.2f} s{times['browser']:>8.2f} s"
        )
    lines += ["", f"{'interaction':<24}{'first':>12}{'again':>9}{'':>20}{'server':>9}{'browser':>10}"]
    for name, times in report["interactions"].items():
        lines.append(
            f"{name:<24}{times['first']:>10.2f} s{times['seconds']:>7.2f} s{'':>20}{times['server']:>7.2f} s"
            f"{times['browser']:>8.2f} s"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
