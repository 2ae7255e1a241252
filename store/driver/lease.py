"""The lease of a store's one driver.

Three files guard against two drivers. `driver.lock` is held with flock: on one machine it shows at once that its owner
is gone. `driver.claim` is created exclusively, so that checking for another driver and taking the lease are one step,
also across hosts. `driver.json` names the owner; its modification time is the heartbeat, whose age decides where flock
does not reach.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
import weakref
from pathlib import Path
from types import TracebackType

from store.driver.driver_state import STALE_SECONDS, DriverFile, DriverRecord, read_driver_file, write_driver_file
from store.driver.locks import acquisition_lock, is_known_dead, lock_driver_file, machine_identity
from store.errors import DriverRunning, StoreError
from store.folder.layout import DRIVER
from store.stop_signals import stop_signals

HEARTBEAT_SECONDS = 5.0
_held: weakref.WeakSet[Lease] = weakref.WeakSet()
"""The leases that this process has entered."""


class Lease:
    """The right to drive a store, held while the context is active; a thread updates the heartbeat.

    Entering raises DriverRunning if another driver is alive. Leaving records why the driver stopped: the reason given
    to `stop`, else `finished`, `interrupted` after Ctrl-C or another stop signal, or `failed` after another exception.
    A lease for `maintenance` restores the record of the previous driver instead.
    """

    def __init__(
        self, root: Path, owner: str, *, heartbeat_seconds: float = HEARTBEAT_SECONDS, maintenance: bool = False
    ) -> None:
        self._root = root
        self._maintenance = maintenance
        self._previous: DriverFile | None = None
        self._heartbeat_seconds = heartbeat_seconds
        self._record = DriverRecord(
            state="running",
            owner=owner,
            host=socket.gethostname(),
            machine=machine_identity(),
            pid=os.getpid(),
            since=time.time(),
            nonce=secrets.token_hex(16),
        )
        self._reason = ""
        self._lock: int | None = None
        self._left = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._keep_alive, name="store-heartbeat", daemon=True)

    @property
    def lost(self) -> bool:
        """Whether another driver took the store over, as it may if the heartbeat stalls for a minute."""
        return self._lost.is_set()

    def stop(self, reason: str) -> None:
        """Set the reason that is recorded when the context is left."""
        self._reason = reason

    def __enter__(self) -> Lease:
        try:
            self._lock = lock_driver_file(self._root)
        except BlockingIOError:
            raise _driver_running(self._root, read_driver_file(self._root)) from None
        try:
            with acquisition_lock(self._root) as now:
                self._previous = read_driver_file(self._root)
                if self._previous is not None and self._is_alive(self._previous, now):
                    raise _driver_running(self._root, self._previous)
                write_driver_file(self._root, self._record)
        except BaseException:
            self._unlock()
            raise
        _held.add(self)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _held.discard(self)
        if os.getpid() != self._record.pid:
            return  # a forked child leaves its parent's lease alone
        with stop_signals.deferred():  # a second Ctrl-C must not keep the lease
            self._give_back(kind)

    def _give_back(self, kind: type[BaseException] | None) -> None:
        self._left.set()
        self._thread.join()
        interrupted = stop_signals.first is not None or (kind is not None and issubclass(kind, KeyboardInterrupt))
        failed = "interrupted" if interrupted else "failed"
        try:
            if self._is_ours():
                self._record_end(self._reason or (failed if kind else "finished"))
        except (StoreError, OSError):
            if kind is None:
                raise
        finally:
            self._unlock()

    def _is_alive(self, other: DriverFile, now: float) -> bool:
        record = other.record
        if record.state == "stopped" or now - other.heartbeat >= STALE_SECONDS:
            return False
        # We hold the flock, so that a driver of another process on this machine has lost it: that process is dead.
        lost_lock = self._lock is not None and record.machine == self._record.machine and record.pid != os.getpid()
        return not lost_lock and not is_known_dead(record.pid, record.machine)

    def _record_end(self, reason: str) -> None:
        path = self._root / DRIVER
        if not self._maintenance:
            write_driver_file(self._root, self._record.model_copy(update={"state": "stopped", "reason": reason}))
        elif self._previous is None:
            path.unlink(missing_ok=True)
        else:
            write_driver_file(self._root, self._previous.record)
            os.utime(path, (self._previous.heartbeat, self._previous.heartbeat))

    def _is_ours(self) -> bool:
        file = read_driver_file(self._root)
        return file is not None and file.record.nonce == self._record.nonce

    def _keep_alive(self) -> None:
        while not self._left.wait(self._heartbeat_seconds):
            # A short failure of a network file system must not end the sweep: the next heartbeat tries again.
            with contextlib.suppress(OSError, StoreError):
                if not self._is_ours():
                    self._lost.set()
                    return
                os.utime(self._root / DRIVER)

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _driver_running(root: Path, file: DriverFile | None) -> DriverRunning:
    owner, advice = "another process", "wait for it, stop it, or use another store"
    if file is not None:
        owner = f"{file.record.owner} on {file.record.host}, process {file.record.pid}"
        if (age := time.time() - file.heartbeat) >= STALE_SECONDS:
            owner += f", which has given no sign of life for {age:.0f} s and may be suspended"
            advice = "continue it (kill -CONT), end it (kill -KILL), or use another store"
    return DriverRunning(f"{root}: is driven by {owner}; {advice}")


def _forget_in_child() -> None:
    """A lease is its own process's: a forked child that kept the descriptor would hold the lock after its parent."""
    for lease in list(_held):
        lease._unlock()


os.register_at_fork(after_in_child=_forget_in_child)
