"""The command line as a person runs it, on a tiny model."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cli.fork_server import Zygote
from tests.sweep.conftest import config_file, tiny_model  # noqa: F401  (fixtures)
from tests.sweep.small_config import CONFIG


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """Runs commands."""
    with Zygote(tmp_path_factory.mktemp("said")) as zygote:
        yield zygote


@pytest.fixture(scope="session")
def finished(tiny_model: Path, commands: Zygote, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:  # noqa: F811
    """A configuration and its finished sweep, for reading only."""
    folder = tmp_path_factory.mktemp("finished")
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({"model": str(tiny_model), **CONFIG}))
    ended = commands.run("sweep", config, "--store", folder / "store", "--address", "serial")
    assert ended.status == 0, ended.stderr
    return config, folder / "store"


@pytest.fixture
def sweep_copy(finished: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """The same, to be changed."""
    shutil.copytree(finished[1], tmp_path / "copy")
    return finished[0], tmp_path / "copy"
