"""What the tests of faults share: commands, damage to a file, and checks of what is left."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import psutil

from store.care.verify import verify
from store.sweep_store import SweepStore
from tests.cli.fork_server import ForkServer, Result

_LEFTOVER = "was left by a writer that died"


def serial_sweep(commands: ForkServer, config: Path, store: Path, **options: Any) -> Result:
    """Run the command `sweep` in one process."""
    return commands.run("sweep", config, "--store", store, "--address", "serial", **options)


def errors_of(result: Result) -> list[str]:
    """The lines on stderr besides progress."""
    return [line for line in result.lines if not line.startswith(("left out: ", "sweep: "))]


def damage(path: Path, kind: str) -> None:
    """Make a file `truncated` or `empty`, or flip a bit in its middle (`flipped`) or its head (`flipped head`)."""
    data = bytearray(path.read_bytes())
    if kind == "truncated":
        data = data[: len(data) // 2]
    elif kind == "empty":
        data = bytearray()
    else:
        data[20 if kind == "flipped head" else len(data) // 2] ^= 1
    path.write_bytes(data)


def shard_digests(store: Path) -> dict[str, str]:
    """A digest of every shard by its path; none for a store that does not exist yet."""
    paths = [path for folder in ("baselines", "units") for path in (store / folder).glob("*.h5")]
    return {f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def assert_only_leftovers(store: Path) -> None:
    """Nothing is wrong but temporary files of a process that died, and complete shards that are not listed yet."""
    for finding in verify(SweepStore.open(store)):
        assert finding.kind == "unlisted" or finding.detail == _LEFTOVER, finding


def assert_complete(store: Path) -> None:
    """Every planned unit is stored and nothing is wrong with it."""
    opened = SweepStore.open(store)
    counts = opened.status_counts()
    assert (counts.done, counts.failed, counts.left) == (counts.planned, 0, 0)
    assert [finding for finding in verify(opened) if finding.detail != _LEFTOVER] == []


def descendants(pid: int) -> list[psutil.Process]:
    """The processes that a process has started, and theirs."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs; zombies do not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def workers_of(pid: int) -> list[psutil.Process]:
    """The Ray workers of a sweep that hold a model."""
    workers = []
    for process in descendants(pid):
        try:
            if process.name().startswith("ray::WorkerActor"):
                workers.append(process)
        except psutil.NoSuchProcess:
            continue
    return workers
