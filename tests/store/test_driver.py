"""One driver for each store: a second one is refused, a dead one is recognised and replaced."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time

import pytest

from store.driver.driver_state import STALE_SECONDS
from store.errors import DriverRunning, StoreError
from store.sweep_store import SweepStore
from tests.store.drivers import start_driver


def test_the_state_names_the_driver(store: SweepStore) -> None:
    assert store.driver().state == "never"
    with store.drive("anna") as lease:
        state = store.driver()
        assert (state.state, state.owner, state.host, state.pid) == (
            "running",
            "anna",
            socket.gethostname(),
            os.getpid(),
        )
        assert state.heartbeat_age is not None and state.heartbeat_age < 30
        lease.stop("three units failed")
    assert (store.driver().state, store.driver().reason) == ("stopped", "three units failed")


@pytest.mark.parametrize(
    ("error", "reason"), [(None, "finished"), (KeyboardInterrupt, "interrupted"), (RuntimeError, "failed")]
)
def test_the_reason_for_stopping_is_recorded(store: SweepStore, error: type[BaseException] | None, reason: str) -> None:
    try:
        with store.drive("a test"):
            if error is not None:
                raise error
    except (KeyboardInterrupt, RuntimeError):
        pass
    assert (store.driver().state, store.driver().reason) == ("stopped", reason)


def test_a_second_driver_is_refused_and_the_first_named(store: SweepStore) -> None:
    process, pipe = start_driver(store)
    expected = rf"is driven by the first on {socket.gethostname()}, process {process.pid}"
    with pytest.raises(DriverRunning, match=expected) as caught, store.drive("the second"):
        pass
    assert "\n" not in str(caught.value)
    assert store.driver().owner == "the first"
    pipe.send("go")
    process.join()
    assert store.driver().state == "stopped"
    with store.drive("the second"):
        assert store.driver().owner == "the second"


def test_a_second_driver_in_the_same_process_is_refused(store: SweepStore) -> None:
    with store.drive("the first"), pytest.raises(DriverRunning), SweepStore.open(store.root).drive("the second"):
        pass
    assert store.driver().state == "stopped"


def test_a_dead_driver_is_recognised_and_replaced(store: SweepStore) -> None:
    process, _ = start_driver(store)
    assert process.pid is not None
    assert store.driver().state == "running"
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert (store.driver().state, store.driver().owner) == ("died", "the first")
    with store.drive("the second"):
        assert (store.driver().state, store.driver().owner) == ("running", "the second")


def test_a_zombie_driver_is_recognised_as_dead(store: SweepStore) -> None:
    process, _ = start_driver(store)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while store.driver().state != "died" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert store.driver().state == "died"
    process.join()


def fake_remote_driver(store: SweepStore, age: float) -> None:
    """Write the record of a driver on another machine, whose last heartbeat is `age` seconds old."""
    path = store.root / "driver.json"
    if not path.exists():
        with store.drive("a remote driver"):
            record = json.loads(path.read_text())
        path.write_text(json.dumps(record | {"host": "node7", "machine": "node7 boot pid:[1]", "pid": 1}))
    beat = time.time() - age
    os.utime(path, (beat, beat))


def test_a_remote_driver_is_judged_by_its_heartbeat(store: SweepStore) -> None:
    fake_remote_driver(store, age=1)
    assert store.driver().state == "running"
    with pytest.raises(DriverRunning, match="a remote driver on node7"), store.drive("the second"):
        pass
    fake_remote_driver(store, age=STALE_SECONDS + 1)
    assert store.driver().state == "died"
    with store.drive("the second"):
        assert store.driver().state == "running"


def test_the_heartbeat_is_updated_and_notices_another_driver(store: SweepStore) -> None:
    path = store.root / "driver.json"
    with store.drive("a test", heartbeat_seconds=0.02) as lease:
        os.utime(path, (1, 1))
        deadline = time.monotonic() + 10
        while path.stat().st_mtime == 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (path.stat().st_mtime > 1, lease.lost) == (True, False)
        record = json.loads(path.read_text())
        path.write_text(
            json.dumps(record | {"nonce": "another", "owner": "the thief", "machine": "node7 boot pid:[1]"})
        )
        while not lease.lost and time.monotonic() < deadline:
            time.sleep(0.01)
        assert lease.lost
    assert (store.driver().state, store.driver().owner) == ("running", "the thief")


def test_maintenance_restores_the_record_of_the_previous_driver(store: SweepStore) -> None:
    store.rebuild()
    assert store.driver().state == "never"
    process, _ = start_driver(store)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    store.rebuild()
    assert (store.driver().state, store.driver().owner) == ("died", "the first")


def test_one_of_many_simultaneous_drivers_gets_the_lease(store: SweepStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the file system has no locks."""

    def no_locks(*_: object) -> None:
        raise OSError(95, "no locks")

    monkeypatch.setattr("fcntl.flock", no_locks)
    barrier, winners, refused = threading.Barrier(8), list[int](), list[int]()

    def attempt(number: int) -> None:
        own = SweepStore.open(store.root)
        barrier.wait()
        try:
            with own.drive(f"driver {number}"):
                winners.append(number)
                leave.wait(20)
        except DriverRunning:
            refused.append(number)
            if len(refused) == 7:
                leave.set()

    leave = threading.Event()
    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(winners), len(refused)) == (1, 7)


def test_a_stale_acquisition_lock_is_removed(store: SweepStore, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store.root / "driver.claim"
    path.write_bytes(b"")
    os.utime(path, (1, 1))
    with store.drive("a test"):
        assert not path.exists()


def test_a_damaged_driver_file_is_an_error(store: SweepStore) -> None:
    (store.root / "driver.json").write_text("{}")
    with pytest.raises(StoreError, match=r"driver\.json: is damaged; remove it if no driver runs"):
        store.driver()
