"""Sweeps to be hurt, on a tiny model."""

from __future__ import annotations

from tests.cli.conftest import commands, finished, sweep_copy  # noqa: F401  (fixtures)
from tests.sweep.conftest import config_file, tiny_model  # noqa: F401  (fixtures)
