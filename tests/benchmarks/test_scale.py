"""The benchmark of a large sweep's driver runs, and leaves the sweep finished."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.scale import main
from store.sweep_store import SweepStore


@pytest.mark.slow
def test_it_measures_a_driver_with_more_workers_than_units(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(tmp_path / "store"), "--units", "220", "--workers", "1000"])
    text = capsys.readouterr().out
    assert all(word in text for word in ("catalogue", "open", "status", "table", "resume", "1000 workers"))
    store = SweepStore.open(tmp_path / "store")
    assert store.status_counts().done == 220 and store.driver().reason == "finished"
