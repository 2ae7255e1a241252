"""`python -m store`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from store.cli import main
from store.folder.header import SweepHeader
from store.sweep_store import SweepStore

ROOT = Path(__file__).parents[2]


Result = subprocess.CompletedProcess[str]
Run = Callable[..., Result]


def run(*arguments: object, answer: str | None = None) -> Result:
    """Run the command in a new process; standard input is not a terminal."""
    command = [sys.executable, "-m", "store", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, input=answer or "", env=environment, timeout=60
    )


@pytest.fixture
def run_inside(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in this process, which is faster."""
    monkeypatch.setenv("COLUMNS", "120")

    def run_command(*arguments: object) -> Result:
        capsys.readouterr()
        status = main([*map(str, arguments)])
        return Result([], status, *capsys.readouterr())

    return run_command


def assert_fails(done: Result, message: str) -> None:
    """Assert exit status 2, one line on standard error, and nothing on standard output."""
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("skipscope: ") and message in done.stderr


def test_ls(filled: SweepStore, run_inside: Run) -> None:
    filled.record_failure(filled.header.plan[0].key, "[red]once\x1b[0m")
    done = run("ls", filled.root)
    assert (done.returncode, done.stderr) == (0, "")
    assert "5 done, 0 failed, 0 left of 5" in done.stdout
    assert "stopped: finished" in done.stdout and "psnr" in done.stdout
    assert "bypass down_blocks.2.resnets.0 in steps 1-2" in done.stdout
    document = json.loads(run_inside("ls", filled.root, "--json").stdout)
    assert document["counts"]["done"] == 5
    assert [unit["key"] for unit in document["units"]] == [unit.key for unit in filled.header.plan]
    assert document["size"] == sum(unit["size"] for unit in document["units"]) > 0


def test_verify(filled: SweepStore, run_inside: Run) -> None:
    done = run_inside("verify", filled.root)
    assert (done.returncode, done.stdout) == (0, "everything is as it was written\n")
    path = filled.shard_path(filled.header.plan[2].key)
    path.write_bytes(path.read_bytes()[:1000])
    done = run("verify", filled.root)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith(f"truncated  units/{path.name}: has 1000 of ")
    done = run_inside("verify", filled.root, "--json")
    assert done.returncode == 1
    assert [(problem["kind"], problem["path"]) for problem in json.loads(done.stdout)] == [
        ("truncated", f"units/{path.name}")
    ]


def test_prune(filled: SweepStore, run_inside: Run) -> None:
    assert run_inside("prune", filled.root).stdout == "nothing to remove\n"
    filled.extend(SweepHeader(settings=filled.header.settings, plan=filled.header.plan[:2]))
    done = run("prune", filled.root, answer="y\n")
    assert done.returncode == 2 and "--yes removes without asking" in done.stderr and done.stderr.count("\n") == 1
    assert len(filled.present()) == 5
    done = run("prune", filled.root, "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "removed 3 files" in done.stdout and len(filled.present()) == 2
    with filled.drive("a test"):
        assert_fails(run_inside("prune", filled.root, "--yes"), "is driven by a test")


@pytest.mark.parametrize(("answer", "left"), [("n", 5), ("y", 2)])
def test_prune_asks_on_a_terminal(filled: SweepStore, answer: str, left: int) -> None:
    import pty

    filled.extend(SweepHeader(settings=filled.header.settings, plan=filled.header.plan[:2]))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "store", "prune", str(filled.root)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, text=True, env=environment) as process:
        os.write(ours, f"{answer}\n".encode())
        output, _ = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert "Remove these 3 files" in output
    assert process.returncode == 0 and len(filled.present()) == left


def test_errors_are_one_line(store: SweepStore, tmp_path: Path, run_inside: Run) -> None:
    assert_fails(run("ls", tmp_path / "nowhere"), "is not a sweep (no sweep.json)")
    assert_fails(run_inside("verify"), "Missing argument 'DIR'")
    assert_fails(run_inside("look", store.root), "No such command 'look'")
    assert_fails(run_inside("ls", store.root, "--jsno"), "No such option: --jsno")
    path = store.root / "sweep.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"version": 2', '"version": 7'), encoding="utf-8")
    assert_fails(run_inside("ls", store.root), "is of format 7; this release reads up to 2: upgrade")
    path.write_bytes(path.read_bytes()[:100])
    assert_fails(run_inside("verify", store.root), "damaged")


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        (
            "store.sweep_store, store.index.table, store.care.verify, store.care.prune, store.care.status",
            ("torch", "pandas", "ray", "streamlit", "typer", "compute"),
        ),
        ("store.cli", ("torch", "numpy", "h5py", "pydantic", "rich", "jaxtyping", "compute")),
    ],
)
def test_imports_stay_light(modules: str, unwanted: tuple[str, ...]) -> None:
    """The store imports neither torch nor the command line; the command line imports typer alone."""
    code = f"import sys, {modules}\nprint([name for name in {unwanted!r} if name in sys.modules])"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "[]\n"
