"""The state of a sweep in a panel: running with live progress, finished, stopped, died, not started."""

from __future__ import annotations

import streamlit as st

from dashboard.data.progress import Progress
from dashboard.data.sweep import Sweep
from dashboard.widgets import content
from dashboard.widgets.page_frame import errors_in_a_panel, store_argument

_EVERY_SECONDS = 2.0
_FAILURES = 50


def state_of(sweep: Sweep) -> None:
    """Draw the state; of a running sweep it is drawn again every few seconds, alone."""
    progress = sweep.progress()
    if progress.driver.state == "running":
        _live(sweep, progress.counts.done)
    else:
        _still(sweep, progress)
        _failures(progress)


@st.fragment(run_every=_EVERY_SECONDS)
def _live(sweep: Sweep, drawn: int) -> None:
    with errors_in_a_panel():
        _draw_live(sweep, drawn)


def _draw_live(sweep: Sweep, drawn: int) -> None:
    progress = sweep.progress()
    if progress.driver.state != "running" or progress.counts.done - drawn > max(10, drawn // 10):
        st.rerun()
    counts = progress.counts
    st.progress(counts.done / max(counts.planned, 1), text=_text(progress))
    content.facts(
        [
            ("Rate", _rate(progress.rate)),
            ("Time left", _duration(progress.seconds_left)),
            ("Failed", str(counts.failed)),
            ("Driver", f"{progress.driver.owner} on {progress.driver.host}"),
        ]
    )
    _failures(progress)


def _still(sweep: Sweep, progress: Progress) -> None:
    counts, driver = progress.counts, progress.driver
    command = f"python -m compute sweep CONFIG.yaml --store {store_argument(sweep.path)}"
    resume = "The same command as before resumes it; CONFIG.yaml stands for the configuration that it was made from."
    if counts.left == 0 and counts.failed == 0 and counts.planned:
        content.panel(f"Complete: all {counts.planned} units are done", _cost(sweep), tone="good")
    elif driver.state == "died":
        content.panel(
            f"The sweep died: {_text(progress)}",
            f"Its driver, {driver.owner} on {driver.host}, is gone without a word; what was done is not lost. {resume}",
            tone="bad",
            command=command,
        )
    elif driver.state == "stopped":
        content.panel(f"Stopped ({driver.reason or 'no reason was given'}): {_text(progress)}", resume, command=command)
    else:
        content.panel(f"Not started: {_text(progress)}", "This runs it:", command=command)


def _cost(sweep: Sweep) -> str:
    table = sweep.table
    per_row = table["unit_unet_evaluations"]
    done, naive = int(per_row.sum()), int((per_row + table["start"]).sum())
    share = f", {done / naive:.0%} of what runs from step 0 on would take" if naive else ""
    return f"{done:,} evaluations of the network for one condition{share}."


def _text(progress: Progress) -> str:
    counts = progress.counts
    failed = f", {counts.failed} failed" if counts.failed else ""
    return f"{counts.done} of {counts.planned} units done{failed}, {counts.left} left"


def _rate(rate: float | None) -> str:
    if not rate:
        return "not known yet"
    return f"{rate:.1f} units a second" if rate >= 1 else f"{1 / rate:.1f} seconds a unit"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "not known yet"
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _failures(progress: Progress) -> None:
    if progress.failures:
        content.section(f"{len(progress.failures)} failed", help="The next run of the sweep tries them again.")
        rows = [{"Unit": what, "Why": why} for what, why in progress.failures]
        content.table(rows, name="failures", height=min(38 * len(rows[:8]) + 38, 340))
