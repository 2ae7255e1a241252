"""Sweeps of a tiny model to be damaged, and a worker's specification."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.config.loading import load_config
from compute.models.source import ModelSource
from compute.sweep.worker.worker_spec import WorkerSpec
from store.sweep_store import SweepStore
from tests.cli.conftest import commands, finished, sweep_copy  # noqa: F401  (fixtures)
from tests.sweep.conftest import config_file, tiny_model  # noqa: F401  (fixtures)


@pytest.fixture
def spec(sweep_copy: tuple[Path, Path]) -> WorkerSpec:  # noqa: F811
    """The specification of a worker on a finished sweep, which may be changed."""
    path, store = sweep_copy
    config = load_config(path)
    return WorkerSpec.of(config, ModelSource.find(config.model), SweepStore.open(store), threads=1)
