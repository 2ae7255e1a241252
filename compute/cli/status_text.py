"""A sweep's status as the command `status` prints it: lines for people, or one JSON document."""

from __future__ import annotations

from typing import Any

from compute.progress import rate
from store.care.status import EvaluationCounts, SweepStatus
from store.driver.driver_state import DriverState


def status_document(status: SweepStatus, evaluations: EvaluationCounts) -> dict[str, Any]:
    """Return what `status --json` prints."""
    document = status.model_dump(mode="json", exclude={"failures"})
    document |= {"evaluations": evaluations.done, "naive_evaluations": evaluations.from_step_0}
    return document | {"failures": dict(_failures(status))}


def status_text(status: SweepStatus, evaluations: EvaluationCounts) -> str:
    """Return what `status` prints."""
    counts, driver = status.counts, status.driver
    lines = [
        f"{status.path}: {counts.done} of {counts.planned} units done, {counts.failed} failed, {counts.left} left",
        {
            "running": f"driver: running, {driver.owner} on {driver.host} (process {driver.pid}){_silence(driver)}",
            "stopped": f"driver: stopped ({driver.reason})",
            "died": f"driver: died ({driver.owner} on {driver.host}); run the sweep again, it resumes",
            "never": "driver: not started yet",
        }[driver.state],
    ]
    if status.rate:
        left, between = _clock(status.seconds_left or 0), status.seconds_left_range
        ends = f" ({_clock(between[0])} to {_clock(between[1])})" if between else ""
        lines.append(f"speed: {rate(status.rate, 'unit')}, {left} left{ends}")
    if evaluations.from_step_0:
        share = evaluations.done / evaluations.from_step_0
        lines.append(
            f"cost: {evaluations.done} UNet evaluations of one condition each, "
            f"{share:.0%} of a sweep that starts every run at step 0"
        )
    lines += [f"failed: {name}: {reason}" for name, reason in _failures(status)]
    return "\n".join(lines)


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _silence(driver: DriverState) -> str:
    """Return what is to be done about a driver that holds its lock and gives no sign of life."""
    if not driver.silent:
        return ""
    return (
        f", no sign of life for {driver.heartbeat_age or 0:.0f} s: it may be suspended; continue it (kill -CONT) or "
        "end it (kill -KILL), until then no other can take over"
    )


def _failures(status: SweepStatus) -> list[tuple[str, str]]:
    """(unit, reason) of each failure, by the unit's key."""
    ordered = sorted(status.failures, key=lambda failure: failure.key)
    return [(f"{failure.description} [{failure.key[:8]}]", failure.reason) for failure in ordered]
