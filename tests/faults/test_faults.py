"""Faults that are not kills: units that fail, shards that are damaged, a full disk, a folder that workers don't see."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compute.config.schema import load_config
from compute.sweep import start, worker
from compute.sweep.executors.executor import Failed, SerialExecutor, SweepStopped, attempt
from compute.sweep.worker import Worker, WorkerRefused, WorkerSpec
from store.care.verify import verify
from store.errors import StoreFull
from store.records import Unit
from store.sweep_store import SweepStore
from tests.cli.fork_server import Ended, Zygote
from tests.faults.sweeps import assert_complete, assert_same, shards

Sweep = tuple[Path, Path]

BROKEN = """
from compute.sweep import worker
real = worker.Worker.compute
def broken(self, unit):
    if {condition}:
        raise RuntimeError('no luck\\nwith this one')
    return real(self, unit)
worker.Worker.compute = broken
"""


def told(ended: Ended) -> list[str]:
    """What stands on stderr besides progress."""
    return [line for line in ended.lines if not line.startswith(("left out: ", "sweep: "))]


def sweep(commands: Zygote, config: Path, store: Path, **options: Any) -> Ended:
    return commands.run("sweep", config, "--store", store, "--address", "serial", **options)


def test_a_unit_that_always_fails(commands: Zygote, finished: Sweep, tmp_path: Path) -> None:
    config, uninterrupted = finished
    store = tmp_path / "store"
    condition = "'skip:conv_in' in getattr(unit.intervention, 'components', ())"
    ended = sweep(commands, config, store, before=BROKEN.format(condition=condition))
    assert ended.status == 2
    opened = SweepStore.open(store)
    failures, counts = opened.failures(), opened.status_counts()
    expected = {u.key for u in opened.header.plan if "skip:conv_in" in getattr(u.intervention, "components", ())}
    assert failures.keys() == expected and len(expected) == 4
    assert (counts.done, counts.failed, counts.left) == (counts.planned - 4, 4, 0)
    assert all(it.reason == "RuntimeError: no luck" and it.attempts == 3 for it in failures.values())
    assert all("with this one" in it.details for it in failures.values())
    *failed, last = told(ended)
    assert len(failed) == 4
    assert all(line.startswith("failed: zero skip:conv_in in steps ") for line in failed)
    assert last == f"skipscope: 4 units failed; python -m compute status {store} says why"
    assert "no luck" in commands.run("status", store).stdout
    assert opened.driver().reason == "finished, 4 units failed"
    ended = sweep(commands, config, store)
    assert ended.status == 0, ended.stderr
    assert ended.stdout.endswith(f"4 units executed, {counts.planned - 4} were there, 0 failed\n")
    assert SweepStore.open(store).failures() == {}
    assert_same(store, uninterrupted)


def test_a_baseline_that_always_fails(commands: Zygote, finished: Sweep, tmp_path: Path) -> None:
    """What starts from it fails with it; the other batch goes on."""
    config, uninterrupted = finished
    store = tmp_path / "store"
    condition = "unit.role == 'baseline' and len(unit.conditions) == 1"
    ended = sweep(commands, config, store, before=BROKEN.format(condition=condition))
    assert ended.status == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    counts = SweepStore.open(store).status_counts()
    assert counts.done == counts.failed == counts.planned // 2
    reasons = [it.reason for it in SweepStore.open(store).failures().values()]
    assert reasons.count("its baseline failed") == len(reasons) - 1
    assert sweep(commands, config, store).status == 0
    assert_same(store, uninterrupted)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "flipped at its head", "empty"])
def test_a_damaged_baseline_is_computed_again(
    commands: Zygote, sweep_copy: Sweep, finished: Sweep, damage: str
) -> None:
    config, store = sweep_copy
    baseline = next((store / "baselines").iterdir())
    hurt(baseline, damage)
    for unit in SweepStore.open(store).header.plan:
        if unit.baseline == baseline.stem and unit.role == "ablation":
            SweepStore.open(store).discard(unit.key)
    ended = sweep(commands, config, store)
    assert ended.status == 0, ended.stderr
    (line,) = told(ended)
    assert line.startswith(f"damaged, computed again: baseline: {baseline}: ")
    assert_complete(store)
    assert_same(store, finished[1])


@pytest.mark.parametrize("damage", ["truncated", "empty"])
def test_a_truncated_ablation_is_computed_again(
    commands: Zygote, sweep_copy: Sweep, finished: Sweep, damage: str
) -> None:
    config, store = sweep_copy
    hurt(next((store / "units").iterdir()), damage)
    ended = sweep(commands, config, store)
    assert ended.status == 0, ended.stderr
    assert [line.split(":")[0] for line in told(ended)] == ["damaged, computed again"]
    assert_complete(store)
    assert_same(store, finished[1])


def test_a_flipped_byte_in_an_ablation_is_for_verify(commands: Zygote, sweep_copy: Sweep) -> None:
    """A resumed sweep does not read terabytes; `verify` names the shard and `prune --damaged` makes room for it."""
    config, store = sweep_copy
    shard = next((store / "units").iterdir())
    hurt(shard, "flipped")
    assert sweep(commands, config, store).status == 0
    assert [it.path for it in verify(SweepStore.open(store))] == [f"units/{shard.name}"]


def hurt(path: Path, damage: str) -> None:
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        data = data[: len(data) // 2]
    elif damage == "empty":
        data = bytearray()
    else:
        data[20 if damage.endswith("head") else len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.fixture
def spec(sweep_copy: Sweep) -> WorkerSpec:
    config, path = sweep_copy
    prepared = start.prepare(load_config(config), config.parent)
    return WorkerSpec(
        store=path,
        token=SweepStore.open(path).new_token(),
        source=prepared.source,
        sampler=prepared.config.sampler,
        dtype="float32",
        metrics=prepared.config.metrics,
        keep=prepared.config.keep,
        threads=1,
    )


def unit_of(spec: WorkerSpec, role: str, conditions: int = 2) -> Unit:
    plan = SweepStore.open(spec.store).header.plan
    return next(unit for unit in plan if unit.role == role and len(unit.conditions) == conditions)


def test_a_baseline_damaged_under_way_poisons_nothing(spec: WorkerSpec) -> None:
    unit = unit_of(spec, "ablation")
    SweepStore.open(spec.store).discard(unit.key)
    assert unit.baseline is not None
    hurt(SweepStore.open(spec.store).shard_path(unit.baseline), "flipped")
    (outcome,) = SerialExecutor(spec, retries=1).execute([unit])
    assert isinstance(outcome, Failed)
    assert "is flipped: it does not match its own checksum" in outcome.reason
    assert unit.key not in SweepStore.open(spec.store).present()


def test_out_of_memory_halves_the_inner_batch(spec: WorkerSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    made, batches = Worker(spec), []
    real = worker.sample

    def small(unet: Any, scheduler: Any, text: Any, x_t: torch.Tensor, **options: Any) -> Any:
        batches.append(len(x_t))
        if len(x_t) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(unet, scheduler, text, x_t, **options)

    for unit in (unit_of(spec, "baseline"), unit_of(spec, "control"), unit_of(spec, "ablation")):
        whole = made.compute(unit)
        with monkeypatch.context() as patch:
            patch.setattr(worker, "sample", small)
            halves = made.compute(unit)
        assert batches == [2, 1, 1]
        batches.clear()
        np.testing.assert_allclose(halves.final, whole.final, atol=1e-4)
        np.testing.assert_allclose(halves.x_t, whole.x_t, atol=2e-3)
        assert halves.x_t_steps == whole.x_t_steps


def test_one_condition_too_many_for_the_memory_is_a_failure(spec: WorkerSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(worker, "sample", full)
    came = attempt(Worker(spec), unit_of(spec, "ablation", 1))
    assert (came.receipt, came.fatal) == (None, False)
    assert came.reason == "OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"


def test_a_full_disk_stops_the_sweep_and_not_only_the_unit(spec: WorkerSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: SweepStore, unit: Unit, payload: Any) -> Any:
        raise StoreFull(self.root, 10, 1)

    executor = SerialExecutor(spec, retries=5)
    monkeypatch.setattr(SweepStore, "write", full)
    with pytest.raises(SweepStopped, match="no space left: 10 bytes are needed, 1 are free"):
        list(executor.execute([unit_of(spec, "ablation")]))


def test_a_worker_that_sees_another_folder(spec: WorkerSpec) -> None:
    with pytest.raises(WorkerRefused, match="put the store on a file system that driver and workers share"):
        Worker(replace(spec, token="0" * 64))


@pytest.mark.parametrize("address", ["serial", "local"])
def test_workers_that_see_another_folder(commands: Zygote, finished: Sweep, tmp_path: Path, address: str) -> None:
    config, _ = finished
    blind = "from store.sweep_store import SweepStore; SweepStore.new_token = lambda self: 'a' * 64"
    ended = commands.run("sweep", config, "--store", tmp_path / "store", "--address", address, before=blind)
    assert ended.status == 2
    (line,) = told(ended)
    assert line.startswith(f"skipscope: {tmp_path / 'store'}: a worker on ")
    assert line.endswith("put the store on a file system that driver and workers share")
    assert shards(tmp_path / "store") == {}


@pytest.fixture
def small_disk(tmp_path: Path, finished: Sweep) -> Iterator[Path]:
    """A file system that holds about half of the sweep."""
    place = tmp_path / "disk"
    place.mkdir()
    half = sum(path.stat().st_size for path in finished[1].rglob("*.h5")) // 2
    mount = ["mount", "-t", "tmpfs", "-o", f"size={half}", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False, timeout=60)
    except OSError as error:
        pytest.skip(f"a file system cannot be mounted here: {error}")
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True, timeout=60)


def test_no_space_left(commands: Zygote, finished: Sweep, small_disk: Path) -> None:
    config, uninterrupted = finished
    store = small_disk / "store"
    for _ in range(2):  # the second try finds the disk as full
        ended = sweep(commands, config, store)
        assert ended.status == 2, ended
        (line,) = told(ended)
        assert "no space left: " in line and line.endswith("free some and run again")
        seen = shards(store)
        assert 2 < len(seen) < len(shards(uninterrupted))
        assert [it for it in verify(SweepStore.open(store)) if it.kind != "unlisted"] == []
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True, timeout=60)
    ended = sweep(commands, config, store)
    assert ended.status == 0, ended.stderr
    assert seen.items() <= shards(store).items()
    assert_complete(store)
    assert_same(store, uninterrupted)
