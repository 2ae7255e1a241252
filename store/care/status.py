"""How far a sweep is and how fast it runs, from its folder alone."""

from __future__ import annotations

import time

from store.driver.driver_state import DriverState
from store.index.table import Table
from store.records import Record
from store.sweep_store import StatusCounts, SweepStore


class UnitFailure(Record):
    """A planned unit that failed: its key, its intervention in words, and the reason."""

    key: str
    description: str
    reason: str


class SweepStatus(Record):
    """How far a sweep is.

    `rate` is in units per second, since the present driver started; it and `seconds_left` are None unless a driver
    runs and has finished a unit. `failures` is in plan order.
    """

    path: str
    driver: DriverState
    counts: StatusCounts
    rate: float | None
    seconds_left: float | None
    failures: tuple[UnitFailure, ...]


class EvaluationCounts(Record):
    """UNet evaluations, each for one condition, of the finished units: those `done`, and those that the same units take
    if every run starts at step 0."""

    done: int
    from_step_0: int


def sweep_status(store: SweepStore) -> SweepStatus:
    """Read a sweep's status, without opening a shard."""
    driver, counts, failures = store.driver(), store.status_counts(), store.failures()
    rate = _units_per_second(store, driver)
    return SweepStatus(
        path=str(store.root),
        driver=driver,
        counts=counts,
        rate=rate,
        seconds_left=counts.left / rate if rate else None,
        failures=tuple(
            UnitFailure(key=key, description=str(unit.intervention or "baseline"), reason=failures[key].reason)
            for key, unit in store.header.units.items()
            if key in failures
        ),
    )


def evaluation_counts(table: Table) -> EvaluationCounts:
    """Count the UNet evaluations behind a sweep's table."""
    done, skipped = int(table["unit_unet_evaluations"].sum()), int(table["start"].sum())
    return EvaluationCounts(done=done, from_step_0=done + skipped)


def _units_per_second(store: SweepStore, driver: DriverState) -> float | None:
    """Shards written since the driver started, per second; None if no driver runs or nothing was written yet."""
    if driver.state != "running" or driver.since is None:
        return None
    times = [when for when in _write_times(store) if when >= driver.since]
    return len(times) / max(max(times) - driver.since, 1e-3) if times else None


def _write_times(store: SweepStore) -> list[float]:
    times = []
    for _, path in store.shards():
        try:
            times.append(path.stat().st_mtime)
        except OSError:  # replaced since the folder was listed
            times.append(time.time())
    return times
