"""Damaged shards: those that a sweep reads or finds unreadable are computed again, the others are for `verify`."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.sweep.executors.executor import Failed
from compute.sweep.executors.serial import SerialExecutor
from compute.sweep.worker.worker_spec import WorkerSpec
from store.care.verify import verify
from store.sweep_store import SweepStore
from tests.cli.fork_server import ForkServer
from tests.faults.checks import assert_complete, damage, errors_of, serial_sweep
from tests.sweep.stores import assert_equal_stores

Sweep = tuple[Path, Path]


@pytest.mark.parametrize("kind", ["truncated", "flipped", "flipped head", "empty"])
def test_a_damaged_baseline_is_computed_again(
    commands: ForkServer, sweep_copy: Sweep, finished: Sweep, kind: str
) -> None:
    config, store = sweep_copy
    baseline = next((store / "baselines").iterdir())
    damage(baseline, kind)
    for unit in SweepStore.open(store).header.plan:
        if unit.baseline == baseline.stem and unit.role == "ablation":
            SweepStore.open(store).discard(unit.key)
    result = serial_sweep(commands, config, store)
    assert result.status == 0, result.stderr
    (line,) = errors_of(result)
    assert line.startswith(f"damaged, computed again: baseline: {baseline}: ")
    assert_complete(store)
    assert_equal_stores(store, finished[1])


@pytest.mark.parametrize("kind", ["truncated", "empty"])
def test_a_truncated_ablation_is_computed_again(
    commands: ForkServer, sweep_copy: Sweep, finished: Sweep, kind: str
) -> None:
    config, store = sweep_copy
    damage(next((store / "units").iterdir()), kind)
    result = serial_sweep(commands, config, store)
    assert result.status == 0, result.stderr
    assert [line.split(":")[0] for line in errors_of(result)] == ["damaged, computed again"]
    assert_complete(store)
    assert_equal_stores(store, finished[1])


def test_a_flipped_bit_in_an_ablation_is_found_by_verify(commands: ForkServer, sweep_copy: Sweep) -> None:
    """A resumed sweep does not read terabytes; `verify` names the shard and `prune --damaged` removes it."""
    config, store = sweep_copy
    shard = next((store / "units").iterdir())
    damage(shard, "flipped")
    assert serial_sweep(commands, config, store).status == 0
    assert [finding.path for finding in verify(SweepStore.open(store))] == [f"units/{shard.name}"]


def test_nothing_is_computed_from_a_baseline_that_is_damaged_during_the_sweep(spec: WorkerSpec) -> None:
    store = SweepStore.open(spec.store)
    unit = next(unit for unit in store.header.plan if unit.role == "ablation" and len(unit.conditions) == 2)
    store.discard(unit.key)
    assert unit.baseline is not None
    damage(store.shard_path(unit.baseline), "flipped")
    (outcome,) = SerialExecutor(spec, retries=1).execute([unit])
    assert isinstance(outcome, Failed)
    assert "is flipped: it does not match its own checksum" in outcome.reason
    assert unit.key not in SweepStore.open(spec.store).present()
