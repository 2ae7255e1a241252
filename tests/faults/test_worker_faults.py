"""Workers without enough memory, and workers that see another folder than the driver."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compute.models.model import Model
from compute.sweep.executors.executor import attempt
from compute.sweep.worker.worker import Worker, WorkerRefused
from compute.sweep.worker.worker_spec import WorkerSpec
from store.records import Unit
from store.sweep_store import SweepStore
from tests.cli.fork_server import ForkServer
from tests.faults.checks import errors_of, shard_digests

Sweep = tuple[Path, Path]


def unit_of(spec: WorkerSpec, role: str, conditions: int = 2) -> Unit:
    """The first unit of a role and a number of conditions."""
    plan = SweepStore.open(spec.store).header.plan
    return next(unit for unit in plan if unit.role == role and len(unit.conditions) == conditions)


def test_a_batch_that_does_not_fit_into_memory_is_halved(spec: WorkerSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    worker, batches = Worker(spec), []
    run = Model.run

    def run_of_one(self: Model, conditions: Any, *arguments: Any, **options: Any) -> Any:
        batches.append(len(conditions))
        if len(conditions) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(self, conditions, *arguments, **options)

    for unit in (unit_of(spec, "baseline"), unit_of(spec, "control"), unit_of(spec, "ablation")):
        whole = worker.compute(unit)
        with monkeypatch.context() as patch:
            patch.setattr(Model, "run", run_of_one)
            halves = worker.compute(unit)
        assert batches == [2, 1, 1]
        batches.clear()
        np.testing.assert_allclose(halves.final, whole.final, atol=1e-4)
        np.testing.assert_allclose(halves.x_t, whole.x_t, atol=2e-3)
        assert halves.x_t_steps == whole.x_t_steps


def test_a_single_condition_that_does_not_fit_into_memory_fails(
    spec: WorkerSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(Model, "run", no_memory)
    result = attempt(Worker(spec), unit_of(spec, "ablation", 1))
    assert (result.receipt, result.fatal) == (None, False)
    assert result.reason == "OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"


def test_a_worker_that_sees_another_folder_is_refused(spec: WorkerSpec) -> None:
    with pytest.raises(WorkerRefused, match="put the store on a file system that driver and workers share"):
        Worker(replace(spec, token="0" * 64))


def test_a_worker_says_which_folder_it_sees(spec: WorkerSpec, tmp_path: Path) -> None:
    me = rf"a worker on {socket.gethostname()} \(process {os.getpid()}\)"
    missing, empty, link = tmp_path / "missing", tmp_path / "empty", tmp_path / "link"
    empty.mkdir()
    link.symlink_to(spec.store)
    for store, seen in (
        (missing, "no such folder; put"),
        (empty, "no sweep in this folder; put"),
        (link, f"another folder of this name than the driver, which there is {spec.store}; put"),
    ):
        with pytest.raises(WorkerRefused, match=f"^{store}: {me} sees {seen}"):
            Worker(replace(spec, store=store, token="0" * 64))


@pytest.mark.parametrize("address", ["serial", "local"])
def test_workers_that_see_another_folder_stop_the_sweep(
    commands: ForkServer, finished: Sweep, tmp_path: Path, address: str
) -> None:
    config, _ = finished
    no_token = "from store.sweep_store import SweepStore; SweepStore.new_token = lambda self: 'a' * 64"
    result = commands.run("sweep", config, "--store", tmp_path / "store", "--address", address, before=no_token)
    assert result.status == 2
    (line,) = errors_of(result)
    assert line.startswith(f"skipscope: {tmp_path / 'store'}: a worker on {socket.gethostname()} (process ")
    assert line.endswith("put the store on a file system that driver and workers share")
    assert shard_digests(tmp_path / "store") == {}
