"""`driver.json`: who drives a store, and whether that process is alive."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from store.driver.locks import is_known_dead, is_locked, machine_identity
from store.errors import StoreError, StoreFull
from store.folder.files import read_file, replace_file
from store.folder.layout import DRIVER
from store.records import Record

STALE_SECONDS = 60.0
"""Age of the heartbeat at which a driver counts as dead, unless it is seen to hold its lock."""
_LIMIT = 1 << 16  # bytes


class DriverRecord(Record):
    """The content of `driver.json`. `machine` is a `machine_identity`; `since` is a Unix time."""

    state: Literal["running", "stopped"]
    owner: str
    host: str
    machine: str
    pid: int
    since: float
    nonce: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class DriverFile:
    """A record as read from `driver.json`, and the file's modification time by the file server's clock."""

    record: DriverRecord
    heartbeat: float


class DriverState(Record):
    """Who drives a store: `running`, `stopped` (see `reason`), `died` without writing why, or `never` driven.

    A driver that is `running` and `silent` holds its lock without a sign of life: it may be suspended. No other driver
    can take the store over until it ends. `since` is a Unix time and `heartbeat_age` is in seconds; both are None for
    `never`.
    """

    state: Literal["running", "stopped", "died", "never"]
    owner: str = ""
    host: str = ""
    pid: int | None = None
    since: float | None = None
    heartbeat_age: float | None = None
    reason: str = ""

    @property
    def silent(self) -> bool:
        """Whether a running driver has given no sign of life for STALE_SECONDS."""
        return self.state == "running" and (self.heartbeat_age or 0.0) >= STALE_SECONDS


def driver_state(root: Path) -> DriverState:
    """Who drives the store now, or drove it last. Raises StoreError if `driver.json` is damaged."""
    file = read_driver_file(root)
    if file is None:
        return DriverState(state="never")
    record, age = file.record, max(0.0, time.time() - file.heartbeat)
    state: Literal["running", "stopped", "died"] = record.state
    if state == "running" and not _is_alive(root, record, age):
        state = "died"
    return DriverState(
        state=state,
        owner=record.owner,
        host=record.host,
        pid=record.pid,
        since=record.since,
        heartbeat_age=age,
        reason=record.reason,
    )


def _is_alive(root: Path, record: DriverRecord, age: float) -> bool:
    """Whether a driver keeps the lease: what the next driver would find."""
    locked = is_locked(root)
    lost_lock = locked is False and record.machine == machine_identity()
    return bool(locked) or (age < STALE_SECONDS and not lost_lock and not is_known_dead(record.pid, record.machine))


def read_driver_file(root: Path) -> DriverFile | None:
    """Read `driver.json`; None if the store was never driven. Raises StoreError if it is damaged."""
    path = root / DRIVER
    try:
        record = DriverRecord.model_validate_json(read_file(path, _LIMIT))
        return DriverFile(record=record, heartbeat=path.lstat().st_mtime)
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise StoreError(f"{path}: is damaged; remove it if no driver runs") from error


def write_driver_file(root: Path, record: DriverRecord) -> None:
    """Write `driver.json`. Raises StoreFull; a stopped driver is recorded on a full disk, too."""
    path, data = root / DRIVER, record.model_dump_json().encode()
    try:
        replace_file(path, data)
    except StoreFull:
        if record.state != "stopped":
            raise
        # In place, the new record fits into the space of the old one.
        with path.open("r+b") as file:
            file.write(data)
            file.truncate()
