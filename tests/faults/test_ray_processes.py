"""Ray's own processes are killed during a sweep: it recovers, or ends soon with one line, and the store resumes."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from store.sweep_store import SweepStore
from tests.cli.conftest import write  # noqa: F401  (fixture)
from tests.cli.fork_server import Command, ForkServer
from tests.faults.checks import (
    assert_complete,
    descendants,
    errors_of,
    is_alive,
    serial_sweep,
    shard_digests,
    workers_of,
)
from tests.sweep.small_config import LASTING, LONG

_SECONDS = 45.0
"""In which a sweep ends after it has lost a part of Ray that it needs; docs/cluster.md says a minute."""


def parts_of_ray(pid: int, word: str) -> list[psutil.Process]:
    """The processes of a sweep's Ray whose name or command line holds a word."""
    parts = []
    for process in descendants(pid):
        try:
            if word in process.name() or any(word in argument for argument in process.cmdline()):
                parts.append(process)
        except psutil.NoSuchProcess:
            continue
    return parts


def files_in_shared_memory() -> set[str]:
    """Files in the shared memory; folders there are of other tests."""
    return {path.name for path in Path("/dev/shm").iterdir() if path.is_file()}


def start_sweep(commands: ForkServer, config: Path, store: Path, before: str = "") -> Command:
    """Start a sweep over Ray and wait until it has finished a unit."""
    running = commands.start("sweep", config, "--store", store, "--address", "local", "--workers", 2, before=before)
    while not shard_digests(store):
        assert not running.poll(), running.wait()
        time.sleep(0.02)
    return running


@pytest.mark.slow
@pytest.mark.parametrize("word", ["raylet/raylet", "gcs_server", "ray::DashboardAgent", "ray::RuntimeEnvAgent"])
def test_a_part_that_ray_needs(
    write: Callable[..., Path],  # noqa: F811
    commands: ForkServer,
    tmp_path: Path,
    word: str,
) -> None:
    """The sweep ends with status 2; no unit counts as failed. (That a store resumes is tried once: it takes long.)"""
    config, store = write(**LONG, retries=0), tmp_path / "store"
    running = start_sweep(commands, config, store)
    (process,) = parts_of_ray(running.pid, word)
    process.kill()
    killed = time.monotonic()
    result = running.wait()
    assert time.monotonic() - killed < _SECONDS
    assert (result.status, result.stdout) == (2, ""), result
    (line,) = errors_of(result)
    assert line.startswith("skipscope: workers: Ray's ") and line.endswith("and the same command resumes")
    assert SweepStore.open(store).driver().state == "stopped"
    assert SweepStore.open(store).failures() == {}
    if word == "gcs_server":
        assert serial_sweep(commands, config, store).status == 0
        assert_complete(store)


@pytest.mark.slow
def test_a_suspended_raylet(
    write: Callable[..., Path],  # noqa: F811
    commands: ForkServer,
    tmp_path: Path,
) -> None:
    """The sweep ends, or does without it; here the workers that Ray has taken down with it are missed."""
    config, store = write(**LASTING, retries=0), tmp_path / "store"
    running = start_sweep(commands, config, store)
    (process,) = parts_of_ray(running.pid, "raylet/raylet")
    process.suspend()
    for worker in workers_of(running.pid):
        worker.kill()
    killed = time.monotonic()
    result = running.wait()
    assert time.monotonic() - killed < 90
    assert result.status == 2, result
    assert errors_of(result)[-1].startswith("skipscope: workers: Ray's raylet is suspended, and its workers with it; ")
    assert not is_alive(process)


@pytest.mark.slow
def test_parts_that_ray_does_without(
    write: Callable[..., Path],  # noqa: F811
    commands: ForkServer,
    tmp_path: Path,
) -> None:
    """Its dashboard's server, log monitor and autoscaler, and idle workers."""
    config, store = write(**LONG, retries=2), tmp_path / "store"
    running = start_sweep(commands, config, store)
    killed = [part for word in ("dashboard.py", "monitor.py", "ray::IDLE") for part in parts_of_ray(running.pid, word)]
    assert len(killed) >= 3
    for part in killed:
        part.kill()
    result = running.wait()
    assert result.status == 0, result
    assert errors_of(result) == []
    assert_complete(store)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_driver_and_all_of_ray(
    write: Callable[..., Path],  # noqa: F811
    commands: ForkServer,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    """As systemd, a container's end or a closed terminal send it: Ray's processes end while the driver tidies up."""
    config, store = write(**LASTING, retries=0), tmp_path / "store"
    running = start_sweep(commands, config, store)
    for process in [*descendants(running.pid), psutil.Process(running.pid)]:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
    sent = time.monotonic()
    result = running.wait()
    assert time.monotonic() - sent < 25
    assert result.status == 128 + number, result
    assert errors_of(result) == [
        f"skipscope: stopped by {number.name}; what is done stays, and the same command goes on from there"
    ]
    opened = SweepStore.open(store)
    assert (opened.driver().state, opened.driver().reason, opened.failures()) == ("stopped", "interrupted", {})


# Ray's C++ part is shut down, and Ray's library does not know it yet: what is dropped then must not reach that part.
SHUT_DOWN_HALFWAY = """
import time
import ray
from compute.sweep.executors import ray_session
def shut_down(ended):
    ray._private.worker.global_worker.core_worker.shutdown_driver()
    open({path!r}, "w").close()
    time.sleep(60)
ray_session._shut_down = shut_down
"""


# Says that the first signal has been taken: of two that wait together Python runs the lower number's handler first.
SHUT_DOWN = """
from compute.sweep.executors import ray_session
whole = ray_session._shut_down
def shut_down(ended):
    open({path!r}, "w").close()
    whole(ended)
ray_session._shut_down = shut_down
"""


@pytest.mark.slow
@pytest.mark.parametrize("shut_down", [SHUT_DOWN, SHUT_DOWN_HALFWAY], ids=["whole", "halfway"])
def test_a_second_signal_hurries(
    write: Callable[..., Path],  # noqa: F811
    commands: ForkServer,
    tmp_path: Path,
    shut_down: str,
) -> None:
    """It ends the sweep as the first one would, at whatever point of Ray's shutdown it comes."""
    config, store, mark = write(**LASTING), tmp_path / "store", tmp_path / "began"
    running = start_sweep(commands, config, store, shut_down.format(path=str(mark)))
    running.kill(signal.SIGTERM)
    while not mark.exists():
        assert not running.poll(), running.wait()
        time.sleep(0.02)
    time.sleep(0.2)
    running.kill(signal.SIGINT)
    result = running.wait(30)
    assert result.status == 128 + signal.SIGTERM, result
    assert errors_of(result)[-1].startswith("skipscope: stopped by SIGTERM; ")
    assert SweepStore.open(store).driver().reason == "interrupted"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_kills_leave_is_removed_at_the_next_start(
    write: Callable[..., Path],  # noqa: F811
    commands: ForkServer,
    tmp_path: Path,
) -> None:
    """In the temporary folder and in the shared memory; HOME stays empty, and nobody else's files are touched."""
    config, scratch, home = write(**LONG), Path("/tmp") / f"r{os.getpid()}", tmp_path / "home"
    scratch.mkdir()
    home.mkdir()
    others = scratch / "skipscope-ray-somebody"
    others.mkdir()
    environment = {"TMPDIR": str(scratch), "HOME": str(home)}
    shared_memory = files_in_shared_memory()
    try:
        for _ in range(2):
            command = ("sweep", config, "--store", tmp_path / "store", "--address", "local", "--workers", 1)
            running = commands.start(*command, env=environment, before="import tempfile; tempfile.tempdir = None")
            done = len(shard_digests(tmp_path / "store"))
            while len(shard_digests(tmp_path / "store")) == done:
                assert not running.poll(), running.wait()
                time.sleep(0.02)
            running.kill(signal.SIGKILL)
            running.wait()
            assert len([path for path in scratch.iterdir() if path != others]) == 1
        finished = commands.run(*command, env=environment, before="import tempfile; tempfile.tempdir = None")
        assert finished.status == 0, finished
        assert [path.name for path in scratch.iterdir()] == [others.name]
        assert files_in_shared_memory() <= shared_memory
        assert not (home / ".ray").exists()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
