"""A wheel installed beside nothing but its dependencies works from any folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tests.test_architecture import ROOT

PACKAGES = ("skipscope", "compute", "store", "dashboard")
DEPENDENCIES = Path(pytest.__file__).parents[1]
NOT_BUILT = shutil.ignore_patterns(
    ".*_cache", ".git", ".venv", "__pycache__", "build", "dist", "runs", "*.egg-info", "tests"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that no build of the checkout gets into it and none is left there."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", ignore=NOT_BUILT)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(folder / "source")], check=True)
    (built,) = folder.glob("*.whl")
    shutil.rmtree(folder / "source")
    return built


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment with the wheel in it.

    The dependencies are those of the environment that runs the tests. Its own .pth files are not read from there, so an
    editable installation of the checkout stays out of sight.
    """
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    options = ["--no-deps", "--no-index", "--quiet"]
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), "install", *options, str(wheel)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{DEPENDENCIES}\n")
    return folder / "bin"


@pytest.fixture
def environment() -> dict[str, str]:
    """Nothing that would lead Python to the checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "STREAMLIT"))}
    return {**kept, "OMP_NUM_THREADS": "1"}


def test_the_wheel_holds_every_file_of_its_packages(wheel: Path) -> None:
    ours = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == ours


def test_the_installed_packages_are_the_wheels(scripts: Path, environment: dict[str, str], tmp_path: Path) -> None:
    code = f"import {', '.join(PACKAGES)}; print(*[it.__file__ for it in ({', '.join(PACKAGES)})], sep='\\n')"
    ended = subprocess.run(
        [scripts / "python", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert all(Path(line).is_relative_to(scripts.parent) for line in ended.stdout.splitlines())


def test_help(scripts: Path, environment: dict[str, str], tmp_path: Path) -> None:
    ended = subprocess.run(
        [scripts / "skipscope", "--help"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert all(command in ended.stdout for command in ("sweep", "recommend", "sample", "dashboard", "store"))


def test_sample(scripts: Path, environment: dict[str, str], tmp_path: Path) -> None:
    command = ["sample", "--prompt", "a cat on a blue background", "--steps", "4", "-o", "cat.png"]
    ended = subprocess.run(
        [scripts / "skipscope", *command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert (ended.returncode, ended.stdout) == (0, "cat.png\n"), ended.stderr
    with Image.open(tmp_path / "cat.png") as picture:
        assert picture.size == (32, 32)


def test_store_commands(scripts: Path, environment: dict[str, str], tmp_path: Path) -> None:
    example = next(scripts.parent.glob("lib/python*/site-packages/dashboard/example"))
    command = [scripts / "skipscope", "store", "verify", str(example)]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout) == (0, "everything is as it was written\n"), ended.stderr


PAGE = """
from pathlib import Path
from streamlit.testing.v1 import AppTest
import dashboard
from dashboard.data.arguments import EXAMPLE, select_store

assert select_store([]) == EXAMPLE
page = AppTest.from_file(str(Path(dashboard.__file__).parent / "script.py"), default_timeout=60)
page.run()
assert not page.exception, page.exception
print(page.title[0].value)
"""


def test_the_dashboard_shows_its_example(scripts: Path, environment: dict[str, str], tmp_path: Path) -> None:
    ended = subprocess.run(
        [scripts / "python", "-c", PAGE], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip()


def test_the_dashboard_answers_on_the_loopback_interface_alone(
    scripts: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """Also where the working folder has a configuration that says otherwise."""
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "config.toml").write_text('[server]\naddress = "0.0.0.0"\nheadless = false\n')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [scripts / "skipscope", "dashboard", "--port", str(port)],
            cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        assert healthy(server, port), log.read_text()
        with pytest.raises(ConnectionRefusedError):  # answered if the server listens on every interface
            socket.create_connection(("127.0.0.2", port), 5).close()
    finally:
        server.terminate()
        server.wait(20)


def healthy(server: subprocess.Popen[bytes], port: int) -> bool:
    """Whether the server answers within a minute."""
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as answer:
                return bool(answer.read() == b"ok")
        except OSError:
            time.sleep(0.1)
    return False
