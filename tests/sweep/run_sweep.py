"""Runs sweeps from configuration files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compute.sweep import launch
from store.sweep_store import SweepStore


def sweep(config: Path, store: Path, **options: Any) -> SweepStore:
    """Run a configuration's sweep to its end, serially unless `options` say otherwise."""
    result = launch.sweep(config, store, **{"address": "serial", "workers": 1, **options})
    assert result.failed == 0
    return SweepStore.open(store)
