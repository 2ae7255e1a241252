"""The state of a sweep: running, with its progress; complete; stopped; died; not started."""

from __future__ import annotations

from typing import Any

import streamlit as st
import yaml

from dashboard.data.sweep import Sweep
from dashboard.widgets.panels import errors_as_panel, fact_list, panel, section
from dashboard.widgets.tables import table
from dashboard.words.formatting import duration_range_text, path_argument
from store.care.status import SweepStatus, evaluation_counts
from store.driver.driver_state import DriverState

_CONFIG_NAME = "sweep.yaml"
_REFRESH_SECONDS = 2.0
_ROW_HEIGHT = 38  # pixels
_MAX_TABLE_HEIGHT = 340


def show_state(sweep: Sweep) -> None:
    """Show the state; of a running sweep, refresh its progress every few seconds."""
    status = sweep.status()
    if status.driver.state == "running":
        _refresh_progress(sweep)
    else:
        _show_ended(sweep, status)
        _show_failures(status)


@st.fragment(run_every=_REFRESH_SECONDS)
def _refresh_progress(sweep: Sweep) -> None:
    with errors_as_panel():
        _show_progress(sweep)


def _show_progress(sweep: Sweep) -> None:
    """Show the progress; run the page again if the sweep ended."""
    status = sweep.status()
    if status.driver.state != "running":
        st.rerun()
    counts = status.counts
    st.progress(counts.done / max(counts.planned, 1), text=_counts_text(status))
    fact_list(
        [
            ("Rate", _rate_text(status.rate)),
            ("Time left", _time_left(status)),
            ("Failed", str(counts.failed)),
            ("Driver", f"{status.driver.owner} on {status.driver.host}"),
        ]
    )
    if status.driver.silent:
        _show_silence(status.driver)
    _show_failures(status)


def _show_silence(driver: DriverState) -> None:
    panel(
        f"No sign of life for {driver.heartbeat_age or 0.0:.0f} seconds",
        f"The driver, process {driver.pid} on {driver.host}, holds its lock and may be suspended. Continue it "
        f"(kill -CONT {driver.pid}) or end it (kill -KILL {driver.pid}); until then no other can take over.",
        tone="bad",
    )


def _show_ended(sweep: Sweep, status: SweepStatus) -> None:
    counts, driver = status.counts, status.driver
    command = f"skipscope sweep {_CONFIG_NAME} --store {path_argument(sweep.path)}"
    resume = f"This command resumes it, with the sweep's configuration, which the button below saves as {_CONFIG_NAME}."
    if counts.left == 0 and counts.failed == 0 and counts.planned:
        panel(f"Complete: all {counts.planned} units are done", _cost_text(sweep), tone="good")
        return
    if driver.state == "died":
        panel(
            f"The sweep died: {_counts_text(status)}",
            f"Its driver, {driver.owner} on {driver.host}, ended without recording why. Finished units are kept. "
            f"{resume}",
            tone="bad",
            command=command,
        )
    elif driver.state == "stopped":
        panel(f"Stopped ({driver.reason or 'no reason was given'}): {_counts_text(status)}", resume, command=command)
    else:
        panel(f"Not started: {_counts_text(status)}", resume.replace("resumes", "runs"), command=command)
    _show_config_download(sweep)


def _show_config_download(sweep: Sweep) -> None:
    st.download_button(
        f"Download {_CONFIG_NAME}",
        lambda: config_file(sweep.header.config),  # called when the button is pressed
        file_name=_CONFIG_NAME,
        mime="application/yaml",
        icon=":material/download:",
        on_click="ignore",
        type="tertiary",
        help="The configuration as the store keeps it. Paths in it that are not absolute count from its own folder.",
    )


def config_file(config: dict[str, Any]) -> bytes:
    """Return a sweep's configuration as the file that `skipscope sweep` takes."""
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True).encode("utf-8")


def _cost_text(sweep: Sweep) -> str:
    counts = evaluation_counts(sweep.table)
    done, from_step_0 = counts.done, counts.from_step_0
    share = f", {done / from_step_0:.0%} of what runs from step 0 on would take" if from_step_0 else ""
    return f"{done:,} evaluations of the network for one condition{share}."


def _counts_text(status: SweepStatus) -> str:
    counts = status.counts
    failed = f", {counts.failed} failed" if counts.failed else ""
    return f"{counts.done} of {counts.planned} units done{failed}, {counts.left} left"


def _rate_text(rate: float | None) -> str:
    if not rate:
        return "not known yet"
    return f"{rate:.1f} units a second" if rate >= 1 else f"{1 / rate:.1f} seconds a unit"


def _time_left(status: SweepStatus) -> str:
    if status.seconds_left_range is None:
        return "not known yet"
    return duration_range_text(*status.seconds_left_range)


def _show_failures(status: SweepStatus) -> None:
    if status.failures:
        section(f"{len(status.failures)} failed", help="The next run of the sweep tries them again.")
        rows = [{"Unit": failure.description, "Why": failure.reason} for failure in status.failures]
        table(rows, name="failures", height=min(_ROW_HEIGHT * (len(rows) + 1), _MAX_TABLE_HEIGHT))
