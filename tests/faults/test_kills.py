"""kill -9 of the driver or a worker at random moments: finished units stay, and the resumed sweep is the same."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import psutil
import pytest
import yaml

from store.sweep_store import SweepStore
from tests.cli.fork_server import Command, ForkServer
from tests.faults.checks import (
    assert_complete,
    assert_only_leftovers,
    descendants,
    is_alive,
    serial_sweep,
    shard_digests,
    workers_of,
)
from tests.sweep.stores import assert_equal_stores

Sweep = tuple[Path, Path]


def kill_drivers(commands: ForkServer, finished: Sweep, folder: Path, times: int) -> None:
    """Kill serial drivers at random moments, check what each left, and resume to the end."""
    config, uninterrupted = finished
    began = time.monotonic()
    serial_sweep(commands, config, folder / "timed")
    duration = time.monotonic() - began
    rng, kills, stores, kills_with_progress = random.Random(0), 0, 0, 0
    while kills < times:
        store, seen = folder / f"store{stores}", {}
        stores += 1
        while True:
            running = commands.start("sweep", config, "--store", store, "--address", "serial")
            time.sleep(rng.uniform(0.0, 0.9 * duration))
            running.kill(signal.SIGKILL)
            result = running.wait()
            if result.status != -signal.SIGKILL:
                assert result.status == 0, result.stderr
                break
            kills += 1
            if (store / "sweep.json").exists():
                now = shard_digests(store)
                assert seen.items() <= now.items(), "a finished shard is missing or changed"
                kills_with_progress += now != seen
                seen = now
                assert_only_leftovers(store)
            if kills >= times:
                break
        result = serial_sweep(commands, config, store)
        assert result.status == 0, result.stderr
        assert_complete(store)
        assert seen.items() <= shard_digests(store).items()
        assert_equal_stores(store, uninterrupted)
    assert kills_with_progress >= times / 10, "the kills fell outside the sweeps: this proves nothing"


def test_killed_drivers(commands: ForkServer, finished: Sweep, tmp_path: Path) -> None:
    kill_drivers(commands, finished, tmp_path, 20)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_two_hundred_killed_drivers(commands: ForkServer, finished: Sweep, tmp_path: Path) -> None:
    kill_drivers(commands, finished, tmp_path, 200)


def test_a_driver_killed_while_it_creates_the_store(commands: ForkServer, finished: Sweep, tmp_path: Path) -> None:
    """It leaves some of the folders and a temporary file."""
    config, uninterrupted = finished
    store = tmp_path / "store"
    (store / "units").mkdir(parents=True)
    (store / "sweep.json.123.0123456789ab.tmp").write_text("{")
    result = serial_sweep(commands, config, store)
    assert result.status == 0, result.stderr
    assert_equal_stores(store, uninterrupted)


def start_ray_sweep(commands: ForkServer, config: Path, store: Path, units: int) -> Command:
    """Start a sweep over Ray and wait until it has finished some units."""
    running = commands.start("sweep", config, "--store", store, "--address", "local", "--workers", 2)
    while len(shard_digests(store)) < units:
        assert not running.poll(), running.wait()
        time.sleep(0.02)
    return running


def kill_ray_driver(commands: ForkServer, config: Path, store: Path, units: int) -> list[psutil.Process]:
    """Kill a driver under Ray; check that its workers end and its shards stay. Return all processes it had started."""
    running = start_ray_sweep(commands, config, store, units)
    others = descendants(running.pid)
    assert len(others) > 4
    seen = shard_digests(store)
    running.kill(signal.SIGKILL)
    assert running.wait().status == -signal.SIGKILL
    deadline = time.monotonic() + 30
    working = [process for process in others if is_alive(process)]
    while time.monotonic() < deadline and (working := [process for process in working if is_alive(process)]):
        agents = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
        if all(process.name() in agents for process in working if is_alive(process)):
            break  # Ray's agents end only after its control service was silent for a minute
        time.sleep(0.2)
    else:
        assert not working, [process.name() for process in working if is_alive(process)]
    assert seen.items() <= shard_digests(store).items()
    assert_only_leftovers(store)
    return others


def test_a_killed_driver_of_ray_workers(commands: ForkServer, finished: Sweep, tmp_path: Path) -> None:
    config, uninterrupted = finished
    kill_ray_driver(commands, config, tmp_path / "store", 4)
    assert SweepStore.open(tmp_path / "store").driver().state == "died"
    result = serial_sweep(commands, config, tmp_path / "store")
    assert result.status == 0, result.stderr
    assert_complete(tmp_path / "store")
    assert_equal_stores(tmp_path / "store", uninterrupted)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_drivers_leave_no_process_of_ray(commands: ForkServer, finished: Sweep, tmp_path: Path) -> None:
    config, uninterrupted = finished
    others: list[psutil.Process] = []
    for units in (1, 6, 12):
        others += kill_ray_driver(commands, config, tmp_path / "store", units)
    deadline = time.monotonic() + 150
    while any(is_alive(process) for process in others):
        assert time.monotonic() < deadline, [process for process in others if is_alive(process)]
        time.sleep(1)
    result = commands.run("sweep", config, "--store", tmp_path / "store", "--address", "local", "--workers", 2)
    assert result.status == 0, result.stderr
    assert_equal_stores(tmp_path / "store", uninterrupted)


def test_killed_ray_workers(commands: ForkServer, finished: Sweep, tmp_path: Path) -> None:
    """Three times, at random moments; the sweep continues without help."""
    config, uninterrupted = finished
    with_retries = tmp_path / "config.yaml"
    with_retries.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "retries": 8}))
    rng, store = random.Random(1), tmp_path / "store"
    running = start_ray_sweep(commands, with_retries, store, 1)
    kills = 0
    while kills < 3 and not running.poll():
        if workers := workers_of(running.pid):
            rng.choice(workers).kill()
            kills += 1
        time.sleep(rng.uniform(0.0, 0.5))
    result = running.wait()
    assert result.status == 0, result.stderr
    assert kills >= 2
    assert_complete(store)
    assert_equal_stores(store, uninterrupted)
