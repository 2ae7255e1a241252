"""kill -9 at random times: visible shards are complete, and acknowledged shards exist."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from store.folder.header import SweepHeader
from store.records import Unit
from store.shard.payload import UnitPayload
from store.sweep_store import SweepStore
from tests.store.problems import problem_kinds

FORK = multiprocessing.get_context("fork")
Units = Callable[[int], Unit]
Payloads = Callable[..., UnitPayload]


def killed(work: Callable[[Connection], None], seconds: float) -> list[str]:
    """Run `work` in a new process, kill it after some time, and return the keys that it sent."""
    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=work, args=(sender,))
    process.start()
    sender.close()
    receiver.recv()
    time.sleep(seconds)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return list(acknowledged(receiver))


def acknowledged(pipe: Connection) -> Iterator[str]:
    try:
        while True:
            yield pipe.recv()
    except (EOFError, OSError):
        return


def random_waits(number: int, longest: float, seed: int = 0) -> Iterator[float]:
    """Random waits in seconds."""
    rng = random.Random(seed)
    for _ in range(number):
        yield rng.uniform(0.0, longest)


def seconds_of(work: Callable[[], object]) -> float:
    """How long `work` takes on this machine, to kill processes in the middle of it."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def write_endlessly(path: Path, ablation: Units, payload: Payloads, first: int, pipe: Connection) -> None:
    store = SweepStore.open(path)
    pipe.send("started")
    for number in range(first, first + 100_000):
        unit = ablation(number)
        store.write(unit, payload(unit, size=24))
        pipe.send(unit.key)


def drive_endlessly(path: Path, ablation: Units, payload: Payloads, first: int, pipe: Connection) -> None:
    store = SweepStore.open(path)
    with store.drive("a driver to be killed"):
        pipe.send("started")
        for number in range(first, first + 100_000):
            unit = ablation(number)
            store.record(store.write(unit, payload(unit)))
            pipe.send(unit.key)


def measure_endlessly(path: Path, key: str, payload: Payloads, pipe: Connection) -> None:
    store = SweepStore.open(path)
    metrics = payload(store.header.units[key]).metrics
    pipe.send("started")
    while True:
        pipe.send(store.add_metrics(key, lambda _: metrics[:1]).manifest.sha256)


def kill_writers(store: SweepStore, ablation: Units, payload: Payloads, times: int) -> None:
    seen: set[str] = set()
    one = seconds_of(lambda: store.write(ablation(-1), payload(ablation(-1), size=24)))
    for count, seconds in enumerate(random_waits(times, 4 * one)):
        first = 1000 * count

        def work(pipe: Connection, first: int = first) -> None:
            write_endlessly(store.root, ablation, payload, first, pipe)

        seen.update(killed(work, seconds))
    present = store.present()
    assert seen <= present, "acknowledged shards are missing"
    assert len(present) > times / 4, "the writers were killed too early to test anything"
    for key in present:
        with store.read(key, check=True) as reader:
            assert reader.final.shape == (2, 3, 24, 24)
    kinds = problem_kinds(store)
    assert kinds <= {"unlisted", "stale"}


def test_killed_writers_leave_whole_shards(store: SweepStore, ablation: Units, payload: Payloads) -> None:
    kill_writers(store, ablation, payload, 20)


@pytest.mark.slow
def test_two_hundred_killed_writers_leave_whole_shards(store: SweepStore, ablation: Units, payload: Payloads) -> None:
    kill_writers(store, ablation, payload, 200)


def test_killed_drivers_are_replaced(store: SweepStore, ablation: Units, payload: Payloads) -> None:
    """The next driver has every acknowledged unit in manifest and catalogue, and no shard is damaged."""
    seen: set[str] = set()
    for count, seconds in enumerate(random_waits(8, 0.15, seed=1)):
        first = 1000 * count

        def work(pipe: Connection, first: int = first) -> None:
            drive_endlessly(store.root, ablation, payload, first, pipe)

        seen.update(killed(work, seconds))
        assert store.driver().state == "died"
    store.extend(SweepHeader(settings=store.header.settings, plan=(*store.header.plan, *map(ablation, range(3, 9000)))))
    with store.drive("the next driver"):
        assert seen <= store.present()
        lines = (store.root / "catalogue").read_text().splitlines()
        assert len(lines) == len(store.present()) == len(store.catalogue())
        assert problem_kinds(store) <= {"stale"}


def test_a_killed_measure_leaves_the_old_shard_or_the_new(filled: SweepStore, payload: Payloads) -> None:
    key = filled.header.plan[2].key
    for seconds in random_waits(10, 0.1, seed=2):
        killed(lambda pipe: measure_endlessly(filled.root, key, payload, pipe), seconds)
        data = filled.shard_path(key).read_bytes()
        assert filled.receipt(key).manifest.sha256 == hashlib.sha256(data).hexdigest()
    assert filled.driver().state == "stopped"
    for name in ("manifest", "catalogue"):  # so that every shard is read again
        (filled.root / name).unlink()
    filled.rebuild()
    assert problem_kinds(filled) <= {"stale"}
