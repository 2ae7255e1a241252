"""A store of an earlier release resumes: the dashboard's example, which is older than this layout of the code."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from compute.config.loading import load_config
from compute.sweep.launch import sweep
from compute.sweep.prepare import prepare
from store.care.verify import verify
from store.records import Ablation, Unit, Window
from store.sweep_store import SweepStore

ROOT = Path(__file__).parents[2]
CONFIG = load_config(ROOT / "configs" / "example.yaml").model_copy(update={"threads_per_worker": 1})
NEW = 5  # windows in which guidance is bypassed


@pytest.fixture
def old_store(tmp_path: Path) -> SweepStore:
    """A copy of the example, to be changed."""
    shutil.copytree(ROOT / "dashboard" / "example", tmp_path / "store")
    return SweepStore.open(tmp_path / "store")


def is_of_guidance(unit: Unit) -> bool:
    """Whether a unit acts on the component that the release which made the store did not have."""
    return isinstance(unit.intervention, Ablation) and "guidance" in unit.intervention.components


def test_the_plan_is_the_stores_and_what_is_new(old_store: SweepStore) -> None:
    """All components are swept; guidance has become one of them since."""
    plan = prepare(CONFIG, ROOT).plan
    assert plan.settings == old_store.header.settings
    assert tuple(unit for unit in plan.units if not is_of_guidance(unit)) == old_store.header.plan
    assert sum(map(is_of_guidance, plan.units)) == NEW


def test_a_finished_store_is_extended_by_what_is_new(old_store: SweepStore) -> None:
    before = {key: path.stat().st_mtime_ns for key, path in old_store.shards()}
    finished = len(old_store.header.plan)
    result = sweep(CONFIG, old_store.root, address="serial")
    assert (result.executed, result.resumed, result.failed) == (NEW, finished, 0)
    again = {key: path.stat().st_mtime_ns for key, path in old_store.shards() if key in before}
    assert again == before
    result = sweep(CONFIG, old_store.root, address="serial")
    assert (result.executed, result.resumed, result.failed) == (0, finished + NEW, 0)


def test_a_missing_unit_is_recomputed_with_the_same_numbers(old_store: SweepStore) -> None:
    late = Window(start=20, stop=25)
    ablations = [unit for unit in old_store.header.plan if isinstance(unit.intervention, Ablation)]
    unit = next(unit for unit in ablations if unit.intervention.window == late and unit.role == "ablation")
    with old_store.read(unit.key, check=True) as reader:
        expected = reader.payload()
    old_store.discard(unit.key)
    result = sweep(CONFIG, old_store.root, address="serial")
    assert (result.executed, result.failed) == (1 + NEW, 0)
    with old_store.read(unit.key, check=True) as reader:
        payload = reader.payload()
    assert (payload.start, payload.unet_evaluations) == (expected.start, expected.unet_evaluations)
    assert payload.pred_x0_steps == expected.pred_x0_steps
    # This machine may round differently from the one that made the example; pictures are stored as multiples of 1/128.
    assert np.abs(payload.final - expected.final).max() <= 1 / 128
    for name, distances in expected.distances.items():
        np.testing.assert_allclose(payload.distances[name], distances, atol=1e-4)
    for metric, old in zip(payload.metrics, expected.metrics, strict=True):
        assert metric.info == old.info
        np.testing.assert_allclose(metric.values, old.values, atol=1e-5, rtol=1e-3)
    assert verify(SweepStore.open(old_store.root)) == []
