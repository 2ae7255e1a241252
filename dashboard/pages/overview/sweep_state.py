"""The state of a sweep in a panel: running with live progress, finished, stopped, died, not started."""

from __future__ import annotations

import streamlit as st

from dashboard.data.sweep import Sweep
from dashboard.widgets import panels as content
from dashboard.widgets.page_template import errors_in_a_panel, store_argument
from store.care.status import SweepStatus, evaluation_counts

_EVERY_SECONDS = 2.0
_FAILURES = 50


def state_of(sweep: Sweep) -> None:
    """Draw the state; of a running sweep it is drawn again every few seconds, alone."""
    status = sweep.status()
    if status.driver.state == "running":
        _live(sweep, status.counts.done)
    else:
        _still(sweep, status)
        _failures(status)


@st.fragment(run_every=_EVERY_SECONDS)
def _live(sweep: Sweep, drawn: int) -> None:
    with errors_in_a_panel():
        _draw_live(sweep, drawn)


def _draw_live(sweep: Sweep, drawn: int) -> None:
    status = sweep.status()
    if status.driver.state != "running" or status.counts.done - drawn > max(10, drawn // 10):
        st.rerun()
    counts = status.counts
    st.progress(counts.done / max(counts.planned, 1), text=_text(status))
    content.facts(
        [
            ("Rate", _rate(status.rate)),
            ("Time left", _duration(status.seconds_left)),
            ("Failed", str(counts.failed)),
            ("Driver", f"{status.driver.owner} on {status.driver.host}"),
        ]
    )
    _failures(status)


def _still(sweep: Sweep, status: SweepStatus) -> None:
    counts, driver = status.counts, status.driver
    command = f"python -m compute sweep CONFIG.yaml --store {store_argument(sweep.path)}"
    resume = "The same command as before resumes it; CONFIG.yaml stands for the configuration that it was made from."
    if counts.left == 0 and counts.failed == 0 and counts.planned:
        content.panel(f"Complete: all {counts.planned} units are done", _cost(sweep), tone="good")
    elif driver.state == "died":
        content.panel(
            f"The sweep died: {_text(status)}",
            f"Its driver, {driver.owner} on {driver.host}, is gone without a word; what was done is not lost. {resume}",
            tone="bad",
            command=command,
        )
    elif driver.state == "stopped":
        content.panel(f"Stopped ({driver.reason or 'no reason was given'}): {_text(status)}", resume, command=command)
    else:
        content.panel(f"Not started: {_text(status)}", "This runs it:", command=command)


def _cost(sweep: Sweep) -> str:
    counts = evaluation_counts(sweep.table)
    done, whole = counts.done, counts.from_step_0
    share = f", {done / whole:.0%} of what runs from step 0 on would take" if whole else ""
    return f"{done:,} evaluations of the network for one condition{share}."


def _text(status: SweepStatus) -> str:
    counts = status.counts
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


def _failures(status: SweepStatus) -> None:
    if status.failures:
        content.section(f"{len(status.failures)} failed", help="The next run of the sweep tries them again.")
        rows = [{"Unit": failure.description, "Why": failure.reason} for failure in status.failures]
        content.table(rows, name="failures", height=min(38 * len(rows[:8]) + 38, 340))
