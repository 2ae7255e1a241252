"""A store of format 1, made by an earlier release, opens, shows and measures; it is not extended, and says so."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from compute.analysis.impact.ablation_impact import impact_of
from compute.analysis.phases.observed import kept_steps
from compute.sweep.launch import sweep
from compute.sweep.measure import measure
from store.care.verify import verify
from store.errors import NotASweep
from store.sweep_reader import SweepReader
from store.sweep_store import SweepStore

KEPT = Path(__file__).parents[1] / "store" / "format_1"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    shutil.copytree(KEPT / "store", tmp_path / "store")
    return tmp_path / "store"


def test_it_opens_and_shows(store: Path) -> None:
    opened = SweepStore.open(store)
    assert opened.header.version == 1
    assert not verify(opened)
    assert len(opened.present()) == len(opened.header.plan) == 4
    impact = impact_of(opened, "mse")
    assert [str(ablation.ablation.components[0]) for ablation in impact.ablations] == ["mid_block.resnets.0"]
    reader = SweepReader(store)
    baselines = [unit.key for unit in opened.header.plan if unit.role == "baseline"]
    steps = kept_steps(reader, baselines)
    assert steps == (0, 1, 2)
    with reader.unit(baselines[0]) as unit:
        assert np.isfinite(unit.pred_x0(1)).all() and unit.payload().output is None


def test_it_measures(store: Path) -> None:
    opened = SweepStore.open(store)
    measure(opened, ["psnr"])
    assert "psnr" in {info.name for row in opened.catalogue().values() for info in row.infos}


def test_it_is_not_extended(store: Path) -> None:
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    with pytest.raises(NotASweep, match=r"earlier release \(format 1\).*use another --store"):
        sweep(KEPT / "config.yaml", store, address="serial")
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before
