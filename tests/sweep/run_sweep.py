"""Runs sweeps from configuration files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compute import progress
from compute.config.schema import load_config
from compute.sweep import start
from store.sweep_store import SweepStore


def sweep(config: Path, store: Path, **options: Any) -> SweepStore:
    """Execute a configuration's sweep to its end, serially unless `options` say otherwise."""
    prepared = start.prepare(load_config(config), config.parent)
    opened = start.open_or_create(store, prepared, replan=options.pop("replan", False))
    with progress.bar("sweep", 1) as bar:
        result = start.run(prepared, opened, bar, **{"address": "serial", "workers": 1, **options})
    assert result.failed == 0
    return opened
