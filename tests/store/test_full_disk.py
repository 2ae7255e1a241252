"""No space left: StoreFull, no incomplete files, and existing files unchanged."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store.errors import StoreFull
from store.folder.header import SweepHeader
from store.records import Unit
from store.shard.payload import UnitPayload
from store.sweep_store import SweepStore
from tests.store.problems import problem_kinds, problems

Payloads = Callable[..., UnitPayload]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    mount_point = tmp_path / "disk"
    mount_point.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount_point)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False, timeout=20)
    except OSError as error:
        pytest.skip(f"a file system cannot be mounted here: {error}")
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield mount_point
    finally:
        subprocess.run(["umount", str(mount_point)], check=True, timeout=20)


def test_a_small_file_system_fills_up(
    tiny_disk: Path, header: SweepHeader, payload: Payloads, ablation: Callable[[int], Unit]
) -> None:
    store = SweepStore.create(tiny_disk / "sweep", header)
    written = []
    with store.drive("a test"), pytest.raises(StoreFull, match="no space left") as caught:
        for number in range(1000):
            receipt = store.write(ablation(number), payload(ablation(number), size=16))
            written.append(receipt)
            store.record(receipt)
    assert written
    assert (store.driver().state, store.driver().reason) == ("stopped", "finished")
    assert caught.value.needed > caught.value.free == store.free_bytes()
    assert {receipt.key for receipt in written} == store.present()
    assert not list(store.root.rglob("*.tmp"))
    store.shard_path(written[0].key).unlink()
    assert problem_kinds(store) <= {"stale", "missing", "unlisted"}
    store.rebuild()
    assert problem_kinds(store) == {"stale"}


def full_after(monkeypatch: pytest.MonkeyPatch, name: str, calls: int) -> None:
    """Let `os.<name>` raise ENOSPC after a number of calls."""
    real, count = getattr(os, name), 0

    def counted(*arguments: object) -> object:
        nonlocal count
        count += 1
        if count > calls:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments)

    monkeypatch.setattr(os, name, counted)


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_full_disk_while_a_unit_is_written(
    store: SweepStore, payload: Payloads, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    unit = store.header.plan[0]
    with monkeypatch.context() as patch:
        full_after(patch, call, 0)
        with pytest.raises(StoreFull, match=rf"{unit.key}.h5: no space left: [0-9]+ bytes are needed"):
            store.write(unit, payload(unit))
    assert store.present() == set()
    assert not any((store.root / "baselines").iterdir())
    store.write(unit, payload(unit))


@pytest.mark.parametrize("calls", [0, 1])
def test_a_full_disk_while_a_line_is_appended(
    filled: SweepStore, payload: Payloads, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    before = {name: (filled.root / name).read_bytes() for name in ("manifest", "catalogue")}
    receipt = filled.receipt(filled.header.plan[0].key)
    with monkeypatch.context() as patch:
        full_after(patch, "fsync", calls)
        with pytest.raises(StoreFull):
            filled.record(receipt)
    after = {name: (filled.root / name).read_bytes() for name in before}
    assert after["catalogue"] == before["catalogue"]
    assert (after["manifest"] == before["manifest"]) == (calls == 0)
    assert problems(filled) == []


def test_a_full_disk_while_the_plan_is_extended(filled: SweepStore, monkeypatch: pytest.MonkeyPatch) -> None:
    before = filled.header
    with monkeypatch.context() as patch:
        full_after(patch, "write", 0)
        with pytest.raises(StoreFull, match=r"sweep\.json"):
            filled.extend(SweepHeader())
    assert filled.header == before == SweepStore.open(filled.root).header


def test_the_error_can_be_pickled(tmp_path: Path) -> None:
    error = StoreFull(tmp_path, 5, 3)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  (as Ray does)
    assert (str(again), again.path, again.needed, again.free) == (str(error), tmp_path, 5, 3)
