"""kill -9 of the driver or of a worker at random moments: what was done stays, and the end is the same."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import psutil
import pytest
import yaml

from store.sweep_store import SweepStore
from tests.cli.fork_server import Command, Zygote
from tests.faults.sweeps import (
    alive,
    assert_complete,
    assert_only_leftovers,
    assert_same,
    descendants,
    shards,
    workers_of,
)

Sweep = tuple[Path, Path]


def killed_drivers(commands: Zygote, finished: Sweep, folder: Path, times: int) -> None:
    config, uninterrupted = finished
    began = time.monotonic()
    commands.run("sweep", config, "--store", folder / "timed", "--address", "serial")
    whole = time.monotonic() - began
    rng, kills, starts, middles = random.Random(0), 0, 0, 0
    while kills < times:
        store, seen = folder / f"store{starts}", {}
        starts += 1
        while True:
            running = commands.start("sweep", config, "--store", store, "--address", "serial")
            time.sleep(rng.uniform(0.0, 0.9 * whole))
            running.kill(signal.SIGKILL)
            ended = running.wait()
            if ended.status != -signal.SIGKILL:
                assert ended.status == 0, ended.stderr
                break
            kills += 1
            if (store / "sweep.json").exists():
                now = shards(store)
                assert seen.items() <= now.items(), "a shard that was there is gone or changed"
                middles += now != seen
                seen = now
                assert_only_leftovers(store)
            if kills >= times:
                break
        ended = commands.run("sweep", config, "--store", store, "--address", "serial")
        assert ended.status == 0, ended.stderr
        assert_complete(store)
        assert seen.items() <= shards(store).items()
        assert_same(store, uninterrupted)
    assert middles >= times / 10, "the kills fell outside the sweeps: this proves nothing"


def test_killed_drivers(commands: Zygote, finished: Sweep, tmp_path: Path) -> None:
    killed_drivers(commands, finished, tmp_path, 20)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_two_hundred_killed_drivers(commands: Zygote, finished: Sweep, tmp_path: Path) -> None:
    killed_drivers(commands, finished, tmp_path, 200)


def test_a_driver_killed_while_it_makes_the_store(commands: Zygote, finished: Sweep, tmp_path: Path) -> None:
    """All that can be there then: some of the folders and a temporary file."""
    config, uninterrupted = finished
    store = tmp_path / "store"
    (store / "units").mkdir(parents=True)
    (store / "sweep.json.123.0123456789ab.tmp").write_text("{")
    ended = commands.run("sweep", config, "--store", store, "--address", "serial")
    assert ended.status == 0, ended.stderr
    assert_same(store, uninterrupted)


def started(commands: Zygote, config: Path, store: Path, units: int) -> Command:
    """A sweep over Ray that has done some units."""
    running = commands.start("sweep", config, "--store", store, "--address", "local", "--workers", 2)
    while len(shards(store)) < units:
        assert not running.poll(), running.wait()
        time.sleep(0.02)
    return running


def kill_driver_under_ray(commands: Zygote, config: Path, store: Path, units: int) -> list[psutil.Process]:
    running = started(commands, config, store, units)
    others = descendants(running.pid)
    assert len(others) > 4
    seen = shards(store)
    running.kill(signal.SIGKILL)
    assert running.wait().status == -signal.SIGKILL
    deadline = time.monotonic() + 30
    working = [it for it in others if alive(it)]
    while time.monotonic() < deadline and (working := [it for it in working if alive(it)]):
        if all(it.name() in ("ray::DashboardAgent", "ray::RuntimeEnvAgent") for it in working if alive(it)):
            break  # Ray's agents give up only when its control service was silent for a minute
        time.sleep(0.2)
    else:
        assert not working, [it.name() for it in working if alive(it)]
    assert seen.items() <= shards(store).items()
    assert_only_leftovers(store)
    return others


def test_a_killed_driver_of_ray_workers(commands: Zygote, finished: Sweep, tmp_path: Path) -> None:
    config, uninterrupted = finished
    kill_driver_under_ray(commands, config, tmp_path / "store", 4)
    assert SweepStore.open(tmp_path / "store").driver().state == "died"
    ended = commands.run("sweep", config, "--store", tmp_path / "store", "--address", "serial")
    assert ended.status == 0, ended.stderr
    assert_complete(tmp_path / "store")
    assert_same(tmp_path / "store", uninterrupted)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_nothing_of_ray_is_left_of_killed_drivers(commands: Zygote, finished: Sweep, tmp_path: Path) -> None:
    config, uninterrupted = finished
    others: list[psutil.Process] = []
    for units in (1, 6, 12):
        others += kill_driver_under_ray(commands, config, tmp_path / "store", units)
    deadline = time.monotonic() + 150
    while any(alive(it) for it in others):
        assert time.monotonic() < deadline, [it for it in others if alive(it)]
        time.sleep(1)
    ended = commands.run("sweep", config, "--store", tmp_path / "store", "--address", "local", "--workers", 2)
    assert ended.status == 0, ended.stderr
    assert_same(tmp_path / "store", uninterrupted)


def test_killed_ray_workers(commands: Zygote, finished: Sweep, tmp_path: Path) -> None:
    """Three times, at random moments; the sweep needs no help."""
    config, uninterrupted = finished
    patient = tmp_path / "config.yaml"
    patient.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "retries": 8}))
    rng, store = random.Random(1), tmp_path / "store"
    running = started(commands, patient, store, 1)
    kills = 0
    while kills < 3 and not running.poll():
        if working := workers_of(running.pid):
            rng.choice(working).kill()
            kills += 1
        time.sleep(rng.uniform(0.0, 0.5))
    ended = running.wait()
    assert ended.status == 0, ended.stderr
    assert kills >= 2
    assert_complete(store)
    assert_same(store, uninterrupted)
