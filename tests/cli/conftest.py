"""The command line on a tiny model."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.fork_server import ForkServer, Result
from tests.sweep.conftest import config_file, tiny_model  # noqa: F401  (fixtures)
from tests.sweep.small_config import CONFIG, write_config


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """Runs commands."""
    with ForkServer(tmp_path_factory.mktemp("output")) as server:
        yield server


@pytest.fixture(scope="session")
def finished(
    tiny_model: Path,  # noqa: F811
    commands: ForkServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Path]:
    """A configuration and its finished sweep, for reading only."""
    folder = tmp_path_factory.mktemp("finished")
    config = write_config(folder / "config.yaml", tiny_model, **CONFIG)
    result = commands.run("sweep", config, "--store", folder / "store", "--address", "serial")
    assert result.status == 0, result.stderr
    return config, folder / "store"


@pytest.fixture
def sweep_copy(finished: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """The same, to be changed."""
    shutil.copytree(finished[1], tmp_path / "copy")
    return finished[0], tmp_path / "copy"


@pytest.fixture
def write(tiny_model: Path, tmp_path: Path) -> Callable[..., Path]:  # noqa: F811
    """Writes the small sweep's configuration with changes and returns its path."""

    def write_changed(**changes: Any) -> Path:
        return write_config(tmp_path / "config.yaml", tiny_model, **{**CONFIG, **changes})

    return write_changed


@pytest.fixture(scope="session")
def recommended(
    finished: tuple[Path, Path], commands: ForkServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Result]:
    """A policy that `recommend` wrote, for reading only, and the command's result."""
    path = tmp_path_factory.mktemp("recommended") / "new" / "policy.json"
    return path, commands.run("recommend", finished[1], "--max-damage", 900, "-o", path)


@pytest.fixture
def policy(recommended: tuple[Path, Result], tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copy(recommended[0], tmp_path / "policy.json"))
