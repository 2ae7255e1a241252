"""The synthetic sweep is valid: every shard can be verified, analysis reads it, and its provenance is synthetic."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.large_store import SYNTHETIC, make_large_store
from compute.analysis.impact.ablation_impact import impact_of
from compute.analysis.phases.phase_evidence import phases_of
from store.care.verify import verify
from store.errors import SkipscopeError
from store.sweep_reader import SweepReader
from store.sweep_store import SweepStore


def test_too_few_units_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(SkipscopeError, match="--units: 3 units"):
        make_large_store(tmp_path / "store", 3)
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_a_synthetic_sweep(tmp_path: Path) -> None:
    make_large_store(tmp_path / "store", 260)
    store = SweepStore.open(tmp_path / "store")
    counts = store.status_counts()
    assert (counts.planned, counts.done, counts.left) == (260, 260, 0)
    assert store.header.provenance["synthetic"] == SYNTHETIC
    assert verify(store) == []
    impact = impact_of(store)
    assert impact.null is not None and impact.null.mean == 0
    assert len(impact.ablations) == 260 - 28
    assert phases_of(SweepReader(store.root)).causal
