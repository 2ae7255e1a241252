"""One driver a store: who drives it, whether that process still lives, and the lease that says so.

Three things guard against two drivers. `driver.claim`, created exclusively, makes looking and taking one act, also
across hosts. `driver.lock`, held with flock, tells on one machine at once that the owner is gone. `driver.json` names
the owner; its modification time is the heartbeat, and where locks do not reach, its age decides.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Literal

from pydantic import ValidationError

from store.driver.locks import claimed, is_gone, locked_guard, machine
from store.errors import DriverRunning, StoreError, StoreFull
from store.folder.files import read_file, replace_file
from store.folder.layout import DRIVER
from store.records import Record

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 60.0
_LIMIT = 1 << 16


class DriverRecord(Record):
    """The content of `driver.json`. `machine` tells hosts and process namespaces apart that share a name."""

    state: Literal["running", "stopped"]
    owner: str
    host: str
    machine: str
    pid: int
    since: float
    nonce: str
    reason: str = ""


class DriverState(Record):
    """Who drives a store: `running`, `stopped` (see `reason`), `died` without a word, or `never` driven.

    `since` is a Unix time, `heartbeat_age` in seconds; both are None for `never`.
    """

    state: Literal["running", "stopped", "died", "never"]
    owner: str = ""
    host: str = ""
    pid: int | None = None
    since: float | None = None
    heartbeat_age: float | None = None
    reason: str = ""


def driver_state(root: Path) -> DriverState:
    """Who drives the store now. Raises StoreError if `driver.json` is damaged."""
    found = _read(root)
    if found is None:
        return DriverState(state="never")
    record, beat = found
    age = max(0.0, time.time() - beat)
    alive = record.state == "running" and age < STALE_SECONDS and not is_gone(record.pid, record.machine)
    state: Literal["running", "stopped", "died"] = (
        "stopped" if record.state == "stopped" else "running" if alive else "died"
    )
    return DriverState(
        state=state,
        owner=record.owner,
        host=record.host,
        pid=record.pid,
        since=record.since,
        heartbeat_age=age,
        reason=record.reason,
    )


class Lease:
    """The right to drive a store, held from entering to leaving the context; a thread keeps the heartbeat going.

    Entering raises DriverRunning where another driver lives. Leaving writes why it stopped: what `stop` was given, else
    `finished`, `interrupted` after Ctrl-C, `failed` after another exception. A `passing` lease, for maintenance, leaves
    what the driver before it said.
    """

    def __init__(
        self, root: Path, owner: str, *, heartbeat_seconds: float = HEARTBEAT_SECONDS, passing: bool = False
    ) -> None:
        self._root = root
        self._passing = passing
        self._before: tuple[DriverRecord, float] | None = None
        self._seconds = heartbeat_seconds
        self._record = DriverRecord(
            state="running",
            owner=owner,
            host=socket.gethostname(),
            machine=machine(),
            pid=os.getpid(),
            since=time.time(),
            nonce=secrets.token_hex(16),
        )
        self._reason = ""
        self._guard: int | None = None
        self._left = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="store-heartbeat", daemon=True)

    @property
    def owner(self) -> str:
        """The owner's name."""
        return self._record.owner

    @property
    def lost(self) -> bool:
        """Whether another driver took the store over, as it may when the heartbeat stalled for a minute."""
        return self._lost.is_set()

    def stop(self, reason: str) -> None:
        """Say why the driver will stop, for `driver_state` to tell."""
        self._reason = reason

    def __enter__(self) -> Lease:
        self._guard, held = locked_guard(self._root)
        if held:
            found = _read(self._root)
            raise _running(self._root, found[0] if found else None)
        try:
            with claimed(self._root) as now:
                self._before = self._refuse_if_driven(now)
                self._write(self._record)
        except BaseException:
            self._release_guard()
            raise
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join()
        failed = "interrupted" if kind is not None and issubclass(kind, KeyboardInterrupt) else "failed"
        try:
            if self._is_ours():
                self._leave(self._reason or (failed if kind else "finished"))
        except (StoreError, OSError):
            if kind is None:
                raise
        finally:
            self._release_guard()

    def _leave(self, reason: str) -> None:
        if not self._passing:
            self._write(self._record.model_copy(update={"state": "stopped", "reason": reason}))
        elif self._before is None:
            (self._root / DRIVER).unlink(missing_ok=True)
        else:
            record, beat = self._before
            self._write(record)
            os.utime(self._root / DRIVER, (beat, beat))

    def _refuse_if_driven(self, now: float) -> tuple[DriverRecord, float] | None:
        found = _read(self._root)
        if found is None or found[0].state == "stopped":
            return found
        record, beat = found
        same_machine_and_gone = (
            record.machine == self._record.machine and self._guard is not None and record.pid != os.getpid()
        )
        if now - beat < STALE_SECONDS and not same_machine_and_gone and not is_gone(record.pid, record.machine):
            raise _running(self._root, record)
        return found

    def _write(self, record: DriverRecord) -> None:
        path, data = self._root / DRIVER, record.model_dump_json().encode()
        try:
            replace_file(path, data)
        except StoreFull:
            if record.state != "stopped":
                raise
            # On a full disk there is still the room of the old record, and that a driver stopped is worth telling.
            with path.open("r+b") as file:
                file.write(data)
                file.truncate()

    def _is_ours(self) -> bool:
        found = _read(self._root)
        return found is not None and found[0].nonce == self._record.nonce

    def _beat(self) -> None:
        while not self._left.wait(self._seconds):
            # A hiccup of a network file system must not end the sweep: the next beat tries again.
            with contextlib.suppress(OSError, StoreError):
                if not self._is_ours():
                    self._lost.set()
                    return
                os.utime(self._root / DRIVER)

    def _release_guard(self) -> None:
        if self._guard is not None:
            os.close(self._guard)
            self._guard = None


def _read(root: Path) -> tuple[DriverRecord, float] | None:
    """The record and the time of its last heartbeat by the file server's clock."""
    path = root / DRIVER
    try:
        record = DriverRecord.model_validate_json(read_file(path, _LIMIT))
        return record, path.lstat().st_mtime
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise StoreError(f"{path}: is damaged; remove it if no driver runs") from error


def _running(root: Path, record: DriverRecord | None) -> DriverRunning:
    who = f"{record.owner} on {record.host}, process {record.pid}" if record else "another process"
    return DriverRunning(f"{root}: is driven by {who}; wait for it, stop it, or use another store")
