"""A full disk stops the sweep with one line; with more space it resumes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compute.sweep.executors.executor import SweepStopped
from compute.sweep.executors.serial import SerialExecutor
from compute.sweep.worker.worker_spec import WorkerSpec
from store.care.verify import verify
from store.errors import StoreFull
from store.records import Unit
from store.sweep_store import SweepStore
from tests.cli.fork_server import ForkServer
from tests.faults.checks import assert_complete, errors_of, serial_sweep, shard_digests
from tests.sweep.stores import assert_equal_stores

Sweep = tuple[Path, Path]


def test_a_full_disk_stops_the_sweep_and_not_only_the_unit(spec: WorkerSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: SweepStore, unit: Unit, payload: Any) -> Any:
        raise StoreFull(self.root, 10, 1)

    executor = SerialExecutor(spec, retries=5)
    monkeypatch.setattr(SweepStore, "write", full)
    ablation = next(unit for unit in SweepStore.open(spec.store).header.plan if unit.role == "ablation")
    with pytest.raises(SweepStopped, match="no space left: 10 bytes are needed, 1 are free"):
        list(executor.execute([ablation]))


@pytest.fixture
def small_disk(tmp_path: Path, finished: Sweep) -> Iterator[Path]:
    """A file system that holds about half of the sweep."""
    disk = tmp_path / "disk"
    disk.mkdir()
    half = sum(path.stat().st_size for path in finished[1].rglob("*.h5")) // 2
    mount = ["mount", "-t", "tmpfs", "-o", f"size={half}", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False, timeout=60)
    except OSError as error:
        pytest.skip(f"a file system cannot be mounted here: {error}")
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True, timeout=60)


def test_no_space_left(commands: ForkServer, finished: Sweep, small_disk: Path) -> None:
    config, uninterrupted = finished
    store = small_disk / "store"
    for _ in range(2):  # the second run finds the disk as full
        result = serial_sweep(commands, config, store)
        assert result.status == 2, result
        (line,) = errors_of(result)
        assert "no space left: " in line and line.endswith("free some and run again")
        written = shard_digests(store)
        assert 2 < len(written) < len(shard_digests(uninterrupted))
        assert [finding for finding in verify(SweepStore.open(store)) if finding.kind != "unlisted"] == []
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True, timeout=60)
    result = serial_sweep(commands, config, store)
    assert result.status == 0, result.stderr
    assert written.items() <= shard_digests(store).items()
    assert_complete(store)
    assert_equal_stores(store, uninterrupted)
