"""How far a sweep is and how fast it goes, from the store alone."""

from __future__ import annotations

import time
from dataclasses import dataclass

from store.driver.lease import DriverState
from store.sweep_store import StatusCounts, SweepStore


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a sweep is: `rate` in units a second and `seconds_left` while a driver runs, else None."""

    driver: DriverState
    counts: StatusCounts
    rate: float | None
    seconds_left: float | None
    failures: tuple[tuple[str, str], ...]
    """(what failed, why), in plan order."""


def progress_of(store: SweepStore) -> Progress:
    """Counts, driver, speed and failures of a store."""
    driver, counts, failures = store.driver(), store.status_counts(), store.failures()
    speed = _rate(store, driver)
    return Progress(
        driver=driver,
        counts=counts,
        rate=speed,
        seconds_left=counts.left / speed if speed else None,
        failures=tuple(
            (str(unit.intervention or "baseline"), failures[key].reason)
            for key, unit in store.header.units.items()
            if key in failures
        ),
    )


def _rate(store: SweepStore, driver: DriverState) -> float | None:
    """Shards made since this driver began, a second; None when none runs."""
    if driver.state != "running" or driver.since is None:
        return None
    made = [when for when in _shard_times(store) if when >= driver.since]
    return len(made) / max(max(made) - driver.since, 1e-3) if made else None


def _shard_times(store: SweepStore) -> list[float]:
    times = []
    for _, path in store.shards():
        try:
            times.append(path.stat().st_mtime)
        except OSError:  # replaced while we looked
            times.append(time.time())
    return times
