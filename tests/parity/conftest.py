"""A folder for what the tests of parity convert once."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def glide_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the converted stages."""
    return tmp_path_factory.mktemp("glide")
