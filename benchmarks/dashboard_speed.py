"""How fast the dashboard answers: first paint of each page, and interactions, in a headless Chromium.

    python -m benchmarks.large_store DIR
    python -m benchmarks.dashboard_speed DIR [--repeats N] [--json]

A visit is timed from the navigation's start to the last change of the page, with all charts and tables drawn; an
interaction from the key or click to the last change. On a machine that others use, seconds say little, so each visit
follows one of an empty Streamlit page, and the report gives the ratio. `server` and `browser` are processor time that
the dashboard's process and all of Chromium's spent. A report, never a test.
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

from benchmarks.browser import PAGES, WATCH, WINDOW, Server, browsing, serving, wait_until_settled
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
    """Measure and print."""
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
    """The report as plain data; times in seconds. Raises NoBrowser, and what opening a store raises."""
    units = len(SweepStore.open(folder).header.plan)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        empty = scratch / "empty.py"
        empty.write_text(_EMPTY)
        ours = stack.enter_context(serving(scratch, ["--store", str(folder.absolute())]))
        nothing = stack.enter_context(serving(scratch, [], app=empty))
        browser = stack.enter_context(browsing())
        version = browser.version
        context = browser.new_context(viewport={"width": WINDOW[0], "height": WINDOW[1]})
        context.add_init_script(WATCH)
        bench = _Bench(context=context, ours=ours, nothing=nothing)
        bench.visit(nothing, "overview")
        pages = {name: bench.visits(name, repeats) for name in PAGES}
        interactions = {
            "Impact: another metric": bench.interaction("impact", _other_metric, repeats),
            "Evidence: another step": bench.interaction("evidence", _other_step, repeats),
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
class _Bench:
    """A browser, the dashboard and an empty page."""

    context: BrowserContext
    ours: Server
    nothing: Server

    def visit(self, server: Server, name: str) -> tuple[float, Floats]:
        """Seconds of one visit in a fresh tab, and the processor time that it took."""
        page = self.context.new_page()
        try:
            before = _processor_seconds(server)
            page.goto(server.page(name), wait_until="commit")
            return wait_until_settled(page) / 1000, _processor_seconds(server) - before
        finally:
            page.close()

    def visits(self, name: str, repeats: int) -> dict[str, Any]:
        """The first visit since the server's start, then medians of visits that take turns with the empty page."""
        first, _ = self.visit(self.ours, name)
        empty, seconds, busy = [], [], []
        for _ in range(repeats):
            empty.append(self.visit(self.nothing, "overview")[0])
            took, processors = self.visit(self.ours, name)
            seconds.append(took)
            busy.append(processors)
        ratios = [one / other for one, other in zip(seconds, empty, strict=True)]
        return {
            "first": first,
            "seconds": statistics.median(seconds),
            "empty_page": statistics.median(empty),
            "ratio": statistics.median(ratios),
            **_medians(busy),
        }

    def interaction(self, name: str, act: Callable[[Page, int], float], repeats: int) -> dict[str, float]:
        """The first of an interaction, which may compute something, then the median of `repeats` others."""
        page = self.context.new_page()
        try:
            page.goto(self.ours.page(name), wait_until="commit")
            wait_until_settled(page)
            seconds, busy = [], []
            for number in range(repeats + 1):
                before = _processor_seconds(self.ours)
                since = act(page, number)
                seconds.append((wait_until_settled(page, since=since) - since) / 1000)
                busy.append(_processor_seconds(self.ours) - before)
        finally:
            page.close()
        return {
            "first": seconds[0],
            "seconds": statistics.median(seconds[1:]),
            **_medians(busy[1:]),
        }


def _other_metric(page: Page, number: int) -> float:
    """Choose one of the first two metrics in turn; returns when, by the page's clock."""
    page.get_by_role("combobox", name="Metric").click()
    options = page.get_by_role("option")
    options.first.wait_for()
    since = _now(page)
    options.nth((number + 1) % 2).click()
    return since


def _other_step(page: Page, number: int) -> float:
    """Move the slider by one step, to and fro; returns when, by the page's clock."""
    slider = page.get_by_role("slider")
    slider.focus()
    since = _now(page)
    slider.press("ArrowLeft" if number % 2 else "ArrowRight")
    return since


def _now(page: Page) -> float:
    return float(page.evaluate("performance.now()"))


def _processor_seconds(server: Server) -> Floats:
    """What the server, and what the browser's living processes have computed so far."""
    import psutil  # type: ignore[import-untyped]

    found = np.zeros(2)
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # a tab's process ends when it likes
            times = process.cpu_times()
            if process.pid == server.process.pid:
                found[0] += times.user + times.system
            elif "chrom" in process.name():
                found[1] += times.user + times.system
    return found


def _medians(busy: Sequence[Floats]) -> dict[str, float]:
    server, browser = np.median(busy, axis=0)
    return {"server": float(server), "browser": float(browser)}


def describe(report: dict[str, Any]) -> str:
    """For people."""
    lines = [
        f"{report['units']} units, medians of {report['repeats']}, Chromium {report['chromium']}, headless",
        "",
        f"{'first paint':<24}{'first visit':>12}{'again':>9}{'empty page':>12}{'ratio':>8}{'server':>9}{'browser':>10}",
    ]
    for name, found in report["pages"].items():
        lines.append(
            f"{name.title():<24}{found['first']:>10.2f} s{found['seconds']:>7.2f} s{found['empty_page']:>10.2f} s"
            f"{found['ratio']:>8.2f}{found['server']:>7.2f} s{found['browser']:>8.2f} s"
        )
    lines += ["", f"{'interaction':<24}{'first':>12}{'again':>9}{'':>20}{'server':>9}{'browser':>10}"]
    for name, found in report["interactions"].items():
        lines.append(
            f"{name:<24}{found['first']:>10.2f} s{found['seconds']:>7.2f} s{'':>20}{found['server']:>7.2f} s"
            f"{found['browser']:>8.2f} s"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
