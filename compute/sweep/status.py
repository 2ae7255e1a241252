"""How far a sweep is and how fast it goes, from the store alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from compute.progress import rate
from store.driver.lease import DriverState
from store.sweep_store import StatusCounts, SweepStore


@dataclass(frozen=True, kw_only=True)
class SweepStatus:
    """What `status` tells."""

    path: str
    driver: DriverState
    counts: StatusCounts
    rate: float | None
    """Units a second of this driver, while it runs."""
    seconds_left: float | None
    evaluations: int
    """UNet evaluations done, of one condition each."""
    naive_evaluations: int
    """What the same units had cost from step 0 on."""
    failures: dict[str, str]
    """Failed units and why."""

    def as_json(self) -> dict[str, Any]:
        """As `status --json` prints it."""
        found = asdict(self)
        return found | {"driver": self.driver.model_dump(mode="json"), "counts": self.counts.model_dump(mode="json")}


def sweep_status(store: SweepStore) -> SweepStatus:
    """Look at a store. Never opens a shard that the catalogue knows."""
    rows, driver, counts = store.catalogue(), store.driver(), store.status_counts()
    planned = [row for key, row in rows.items() if key in store.header.units]
    done = sum(row.unet_evaluations * len(row.unit.conditions) for row in planned)
    saved = sum(row.start * len(row.unit.conditions) for row in planned)
    speed = _rate(store, driver)
    return SweepStatus(
        path=str(store.root),
        driver=driver,
        counts=counts,
        rate=speed,
        seconds_left=counts.left / speed if speed else None,
        evaluations=done,
        naive_evaluations=done + saved,
        failures={
            str(store.header.units[key].intervention or "baseline") + f" [{key[:8]}]": failure.reason
            for key, failure in store.failures().items()
            if key in store.header.units
        },
    )


def _rate(store: SweepStore, driver: DriverState) -> float | None:
    """Shards made since this driver began, a second; None when none runs."""
    if driver.state != "running" or driver.since is None or driver.heartbeat_age is None:
        return None
    times = [path.stat().st_mtime for _, path in store.shards()]
    made = [when for when in times if when >= driver.since]
    return len(made) / max(max(made) - driver.since, 1e-3) if made else None


def describe(status: SweepStatus) -> str:
    """As `status` prints it."""
    counts, driver = status.counts, status.driver
    lines = [
        f"{status.path}: {counts.done} of {counts.planned} units done, {counts.failed} failed, {counts.left} left",
        {
            "running": f"driver: running, {driver.owner} on {driver.host} (process {driver.pid})",
            "stopped": f"driver: stopped ({driver.reason})",
            "died": f"driver: died ({driver.owner} on {driver.host}); run the sweep again, it resumes",
            "never": "driver: not started yet",
        }[driver.state],
    ]
    if status.rate:
        left = round(status.seconds_left or 0)
        lines.append(f"speed: {rate(status.rate, 'unit')}, {left // 3600}:{left // 60 % 60:02}:{left % 60:02} left")
    if status.naive_evaluations:
        share = status.evaluations / status.naive_evaluations
        lines.append(
            f"cost: {status.evaluations} UNet evaluations of one condition each, "
            f"{share:.0%} of a sweep that starts every run at step 0"
        )
    lines += [f"failed: {what}: {why}" for what, why in status.failures.items()]
    return "\n".join(lines)
