"""How far a sweep is and how fast it runs, from its folder alone."""

from __future__ import annotations

import time

from store.care.speed import Speed, measured_speed, unit_evaluations
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
    runs and has finished a unit. `seconds_left` knows that units take different numbers of evaluations, and
    `seconds_left_range` is its 95% interval, None at first. `failures` is in plan order.
    """

    path: str
    driver: DriverState
    counts: StatusCounts
    rate: float | None
    seconds_left: float | None
    seconds_left_range: tuple[float, float] | None = None
    failures: tuple[UnitFailure, ...]


class EvaluationCounts(Record):
    """UNet evaluations, each for one condition, of the finished units: those `done`, and those that the same units take
    if every run starts at step 0."""

    done: int
    from_step_0: int


def sweep_status(store: SweepStore) -> SweepStatus:
    """Read a sweep's status, without opening a shard."""
    driver, counts, failures = store.driver(), store.status_counts(), store.failures()
    settings = store.header.settings
    speed = _speed(store, driver)
    done = store.present() | failures.keys()
    left = sum(unit_evaluations(unit, settings) for key, unit in store.header.units.items() if key not in done)
    return SweepStatus(
        path=str(store.root),
        driver=driver,
        counts=counts,
        rate=speed.units if speed else None,
        seconds_left=speed.seconds(left) if speed else None,
        seconds_left_range=speed.seconds_range(left) if speed else None,
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


def _speed(store: SweepStore, driver: DriverState) -> Speed | None:
    """The speed since the driver started; None if none runs or nothing was written yet."""
    since, units = driver.since, store.header.units
    if driver.state != "running" or since is None:
        return None
    return measured_speed(
        [
            (when, unit_evaluations(units[key], store.header.settings) if key in units else 1.0)
            for key, when in _write_times(store)
            if when >= since
        ],
        since,
    )


def _write_times(store: SweepStore) -> list[tuple[str, float]]:
    times = []
    for key, path in store.shards():
        try:
            times.append((key, path.stat().st_mtime))
        except OSError:  # replaced since the folder was listed
            times.append((key, time.time()))
    return times
