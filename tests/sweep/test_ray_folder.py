"""The folder of a local Ray: short, locked by its process, and removed after that process has died."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from compute.sweep.executors import ray_folder
from compute.sweep.executors.executor import SweepStopped
from compute.sweep.executors.ray_folder import RayFolder

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder with a short path, in which Ray's folders are made."""
    with tempfile.TemporaryDirectory(prefix="s", dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.delenv("RAY_TMPDIR", raising=False)
        yield Path(folder)  # type: ignore[misc]


def make_and_die(pipe: Connection) -> None:
    pipe.send(RayFolder().path)
    os._exit(0)


def test_a_dead_process_leaves_a_folder_that_the_next_one_removes(scratch: Path) -> None:
    living = RayFolder()
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=make_and_die, args=(theirs,))
    process.start()
    left: Path = ours.recv()
    process.join()
    (left / "session" / "sockets").mkdir(parents=True)
    assert left.is_dir()
    another = RayFolder()
    assert not left.exists()
    assert living.path.is_dir() and another.path.is_dir()
    for folder in (living, another):
        folder.remove()
    assert list(scratch.iterdir()) == []


def test_what_is_not_ours_stays(scratch: Path, tmp_path: Path) -> None:
    """A link, a file, a folder of another user, and one without an owner that may have been made just now."""
    precious = tmp_path / "precious"
    (precious / "owner").mkdir(parents=True)
    (scratch / "skipscope-ray-link").symlink_to(precious)
    (scratch / "skipscope-ray-file").write_text("")
    (scratch / "skipscope-ray-new").mkdir()
    (scratch / "other").mkdir()
    foreign = scratch / "skipscope-ray-foreign"
    foreign.mkdir()
    (foreign / "owner").write_text("{}")
    if os.getuid() == 0:
        os.chown(foreign, 12345, 12345)
    else:
        foreign.rmdir()
    before = {path.name for path in scratch.iterdir()}
    RayFolder().remove()
    assert {path.name for path in scratch.iterdir()} == before
    assert precious.is_dir()
    old = time.time() - 2 * ray_folder._UNOWNED_SECONDS
    os.utime(scratch / "skipscope-ray-new", (old, old))
    RayFolder().remove()
    assert {path.name for path in scratch.iterdir()} == before - {"skipscope-ray-new"}


def test_a_long_temporary_folder_is_replaced_by_a_short_one(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = scratch / ("a" * 60)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    folder = RayFolder()
    try:
        assert folder.path.parent == Path("/tmp")
        assert len(str(folder.path)) < 45
    finally:
        folder.remove()


@pytest.mark.parametrize("name", ["a" * 60, "missing"])
def test_a_folder_that_the_user_asked_for_and_cannot_be_used_is_named(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if name != "missing":
        (scratch / name).mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(scratch / name))
    with pytest.raises(SweepStopped, match=r"^RAY_TMPDIR: Ray needs a folder .* at most \d+ characters, .*RAY_TMPDIR"):
        RayFolder()
