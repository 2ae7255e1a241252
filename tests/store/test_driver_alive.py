"""Whether a driver keeps its store: the state that people see agrees with the lease that the next driver asks for."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from store.driver.driver_state import STALE_SECONDS
from store.driver.lease import Lease
from store.errors import DriverRunning
from store.sweep_store import SweepStore
from tests.store.drivers import FORK, start_driver


def age_heartbeat(store: SweepStore) -> None:
    """Make the driver look silent for longer than a live one is."""
    beat = time.time() - STALE_SECONDS - 5
    os.utime(store.root / "driver.json", (beat, beat))


def test_a_suspended_driver_keeps_the_store_and_the_state_says_so(store: SweepStore) -> None:
    process, pipe = start_driver(store)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    age_heartbeat(store)
    state = store.driver()
    assert (state.state, state.silent) == ("running", True)
    with pytest.raises(DriverRunning, match=r"no sign of life for 6[5-9] s and may be suspended; continue it"):
        store.rebuild()
    os.kill(process.pid, signal.SIGCONT)
    pipe.send("go")
    process.join()
    assert (store.driver().state, store.driver().silent) == ("stopped", False)
    store.rebuild()


def test_a_suspended_driver_that_is_killed_can_be_replaced(store: SweepStore) -> None:
    process, _ = start_driver(store)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    age_heartbeat(store)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert store.driver().state == "died"
    with store.drive("the second"):
        assert not store.driver().silent


def test_a_process_that_got_a_dead_drivers_number_is_not_taken_for_it(store: SweepStore) -> None:
    """State and lease agree: the record is fresh and its process is alive, but nobody holds the lock."""
    with store.drive("the first"):
        record = json.loads((store.root / "driver.json").read_text())
    (store.root / "driver.json").write_text(json.dumps(record | {"state": "running", "pid": 1}))
    assert store.driver().state == "died"
    with store.drive("the second"):
        assert store.driver().state == "running"


def sleep_until_killed(lease: Lease, ready: Event) -> None:
    """What a forked process may do with its parent's lease: leave its context."""
    lease.__exit__(None, None, None)
    ready.set()
    time.sleep(60)


def drive_with_a_child(path: Path, ready: Event) -> None:
    with SweepStore.open(path).drive("the first") as lease:
        FORK.Process(target=sleep_until_killed, args=(lease, ready), daemon=True).start()
        ready.wait(20)
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_forked_child_holds_no_lease(store: SweepStore) -> None:
    ready = FORK.Event()
    process = FORK.Process(target=drive_with_a_child, args=(store.root, ready))
    process.start()
    process.join()
    assert ready.is_set()
    assert store.driver().state == "died"
    with store.drive("the second"):
        assert store.driver().owner == "the second"


def test_looking_at_the_state_never_keeps_a_driver_out(store: SweepStore) -> None:
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            store.driver()

    with store.drive("a test"):
        pass
    watchers = [threading.Thread(target=look) for _ in range(2)]
    for watcher in watchers:
        watcher.start()
    try:
        for _ in range(30):
            with store.drive("a test"):
                assert store.driver().state == "running"
    finally:
        stop.set()
        for watcher in watchers:
            watcher.join()
