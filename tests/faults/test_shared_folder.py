"""A folder that a group shares: files get the mode that the umask asks for, and symbolic links stay."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compute.images import save_png
from compute.models.file_modes import apply_umask
from compute.models.mini.judge.scene_judge import SceneJudge
from store.folder.files import replace_file, save_file
from tests.cli.fork_server import ForkServer
from tests.faults.checks import serial_sweep

Sweep = tuple[Path, Path]
GROUP = "import os; os.umask(0o002)"


@pytest.fixture
def group_umask() -> Iterator[None]:
    before = os.umask(0o002)
    yield
    os.umask(before)


def modes_of(folder: Path) -> dict[str, str]:
    """The mode of everything in a folder, by relative path."""
    return {str(path.relative_to(folder)): oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.rglob("*")}


def test_a_sweep_and_its_policy_are_the_groups(commands: ForkServer, finished: Sweep, tmp_path: Path) -> None:
    """Everything in the folder can be changed by the group, after a sweep, a measurement and a failed unit."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o2775)
    store = shared / "store"
    failing = "; from compute.sweep.worker.worker import Worker; Worker.compute = None"
    assert serial_sweep(commands, finished[0], store, before=GROUP + failing).status == 2
    failed = modes_of(store)
    assert any(name.startswith("failures/") for name in failed)
    assert serial_sweep(commands, finished[0], store, before=GROUP).status == 0
    assert commands.run("measure", store, "--metrics", "psnr", before=GROUP).status == 0
    policy = shared / "policy.json"
    result = commands.run("recommend", store, "--max-damage", 900, "-o", policy, before=GROUP)
    assert result.status == 0, result.stderr
    modes = {**failed, **modes_of(shared)}
    files = {name: mode for name, mode in modes.items() if Path(name).suffix or Path(name).name in ("manifest",)}
    assert len(files) > 20 and "store/driver.json" in files
    assert set(files.values()) == {"0o664"}, files


@pytest.mark.usefixtures("group_umask")
def test_weights_are_the_groups(tmp_path: Path) -> None:
    judge = tmp_path / "judge.safetensors"
    SceneJudge().save(judge)
    judge.chmod(0o600)
    apply_umask(tmp_path)
    assert set(modes_of(tmp_path).values()) == {"0o664"}
    SceneJudge.load(judge)


def test_saving_through_a_link_keeps_the_link_and_the_mode(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "file", tmp_path / "link"
    link.symlink_to("real/file")
    for mode in (None, 0o600):
        if mode is not None:
            target.chmod(mode)
        save_file(link, b"saved")
        save_png(Image.fromarray(np.zeros((2, 2, 3), np.uint8)), tmp_path / "link")
        assert link.is_symlink() and target.read_bytes().startswith(b"\x89PNG")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_a_stores_own_files_are_never_written_through_a_link(tmp_path: Path) -> None:
    """A folder from elsewhere may hold links to files of the user."""
    target, link = tmp_path / "precious", tmp_path / "link"
    target.write_text("precious")
    link.symlink_to(target)
    replace_file(link, b"new")
    assert target.read_text() == "precious" and not link.is_symlink()


def test_saving_to_a_pipe_writes_into_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    save_file(pipe, b"saved")
    assert os.read(reader, 100) == b"saved"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
