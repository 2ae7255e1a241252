"""Every command of a sweep's life, with what it prints and what it leaves."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from store.sweep_store import SweepStore
from tests.cli.fork_server import Ended, Zygote

Sweep = tuple[Path, Path]


def contents(folder: Path) -> dict[str, str]:
    """A digest of every file, apart from the records that a run renews: the driver's, and lists in another order."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("driver.json", "manifest", "catalogue")
    }


def document(ended: Ended) -> Any:
    """The one JSON document that a command with --json prints, and nothing else."""
    assert ended.status == 0, ended.stderr
    assert "NaN" not in ended.stdout and "Infinity" not in ended.stdout
    return json.loads(ended.stdout)


def test_a_sweep_as_a_person_starts_it(finished: Sweep, tmp_path: Path) -> None:
    """A process of its own, with all its imports, from another folder."""
    config, _ = finished
    command = [sys.executable, "-m", "compute", "sweep", str(config), "--store", "made", "--address", "serial"]
    root = str(Path(__file__).parents[2])
    ended = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": root, "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    counts = SweepStore.open(tmp_path / "made").status_counts()
    assert counts.done == counts.planned
    assert ended.stdout == f"made: {counts.planned} units executed, 0 were there, 0 failed\n"
    assert f"sweep: {counts.planned}/{counts.planned} units" in ended.stderr
    assert "left out" in ended.stderr
    assert sorted(it.name for it in tmp_path.iterdir()) == ["made"]


def test_help_is_instant_and_imports_no_torch() -> None:
    program = "import sys; sys.argv = ['compute', '--help']\nfrom compute.cli.main import main\ntry: main()\n"
    program += (
        "except SystemExit as e: assert not e.code\nassert not {'torch', 'ray', 'diffusers'} & sys.modules.keys()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    for command in ("sweep", "status", "measure", "summary", "sample", "fidelity", "train-mini", "train-judge"):
        assert command in ended.stdout


@pytest.mark.parametrize("command", ["sweep", "status", "measure", "summary", "sample", "fidelity"])
def test_each_command_has_help(commands: Zygote, command: str) -> None:
    ended = commands.run(command, "--help")
    assert (ended.status, ended.stderr) == (0, "")
    assert "Usage: " in ended.stdout


def test_without_a_command_there_is_help(commands: Zygote) -> None:
    ended = commands.run()
    assert ended.status == 2
    assert "sweep" in ended.stdout + ended.stderr


def test_a_dry_run_writes_nothing(finished: Sweep, commands: Zygote, tmp_path: Path) -> None:
    config, store = finished
    ended = commands.run("sweep", config, "--store", tmp_path / "new", "--dry-run")
    assert ended.status == 0
    assert not (tmp_path / "new").exists()
    lines = dict(line.split(": ", 1) for line in ended.stdout.splitlines())
    assert lines.keys() == {"units", "UNet evaluations", "time", "disk"}
    assert int(lines["units"].split()[0]) == len(SweepStore.open(store).header.plan)
    before = contents(store)
    assert commands.run("sweep", config, "--store", store, "--dry-run").status == 0
    assert contents(store) == before


def test_the_dry_run_tells_what_the_sweep_costs(finished: Sweep, commands: Zygote) -> None:
    config, store = finished
    told = commands.run("sweep", config, "--store", store, "--dry-run").stdout
    found = document(commands.run("status", store, "--json"))
    assert f"UNet evaluations: {found['evaluations']} of one condition" in told
    assert 0 < found["evaluations"] < found["naive_evaluations"]


def test_running_again_does_nothing(sweep_copy: Sweep, commands: Zygote) -> None:
    config, store = sweep_copy
    before, began = contents(store), time.monotonic()
    ended = commands.run("sweep", config, "--store", store, "--address", "serial")
    assert time.monotonic() - began < 60
    planned = len(SweepStore.open(store).header.plan)
    assert ended.status == 0
    assert ended.stdout == f"{store}: 0 units executed, {planned} were there, 0 failed\n"
    assert contents(store) == before


def test_status(finished: Sweep, commands: Zygote) -> None:
    _, store = finished
    found = document(commands.run("status", store, "--json"))
    counts = found["counts"]
    assert counts["planned"] == counts["done"] == len(SweepStore.open(store).header.plan)
    assert (counts["failed"], counts["left"], found["driver"]["state"]) == (0, 0, "stopped")
    ended = commands.run("status", store)
    assert (ended.status, ended.stderr) == (0, "")
    assert f"{counts['done']} of {counts['planned']} units done, 0 failed, 0 left" in ended.stdout
    assert "driver: stopped (finished)" in ended.stdout


def test_measure_adds_a_metric(sweep_copy: Sweep, commands: Zygote) -> None:
    _, store = sweep_copy
    ended = commands.run("measure", store, "--metrics", "psnr, psnr,lpips")
    assert ended.status == 0, ended.stderr
    absent, measured = ended.stdout.splitlines()
    assert absent.startswith("lpips: absent: ")
    assert measured == f"{store}: 1 metrics measured on {len(SweepStore.open(store).header.plan)} units"
    opened = SweepStore.open(store)
    for unit in opened.header.plan:
        with opened.read(unit.key) as reader:
            names = {metric.info.name for metric in reader.metrics}
        assert ("psnr" in names) == (unit.role != "baseline")


def test_summary(finished: Sweep, commands: Zygote, tmp_path: Path) -> None:
    _, store = finished
    found = document(commands.run("summary", store, "--json", "--sheet", tmp_path / "sheets" / "sheet.png"))
    assert found["null"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert len(found["ablations"]) == 9
    with Image.open(tmp_path / "sheets" / "sheet.png") as sheet:
        sheet.load()
        assert sheet.width > 800 and sheet.height > 2 * 128
    text = commands.run("summary", store, "--sheet", tmp_path / "sheet.png").stdout
    assert "matter most" in text and "sample sheet: " in text
    for ablation in found["ablations"]:
        assert 0 <= ablation["damage"]["low"] <= ablation["damage"]["mean"] <= ablation["damage"]["high"]


def test_sample_draws_the_same_picture_for_the_same_seed(tiny_model: Path, commands: Zygote, tmp_path: Path) -> None:
    def draw(name: str, *more: object) -> bytes:
        path = tmp_path / name
        ended = commands.run("sample", "--model", tiny_model, "--prompt", "a cat", "-o", path, "--steps", 3, *more)
        assert (ended.status, ended.stdout) == (0, f"{path}\n"), ended.stderr
        with Image.open(path) as picture:
            assert picture.size == (16, 16)
            return picture.tobytes()

    first = draw("a.png")
    assert draw("b.png", "--seed", 0) == first
    assert draw("c.png", "--seed", 2**63 - 1) != first
    assert draw("d.png", "--sampler", "ddim") != first


def test_a_closed_pipe_is_no_traceback(finished: Sweep) -> None:
    _, store = finished
    command = f"{sys.executable} -m compute status {store} --json | true"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in ended.stderr
