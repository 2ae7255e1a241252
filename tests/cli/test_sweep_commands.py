"""The commands of a sweep: what they print and what they write."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image

from store.sweep_store import SweepStore
from tests.cli.fork_server import ForkServer
from tests.cli.outcomes import document

Sweep = tuple[Path, Path]


def digests_in(folder: Path) -> dict[str, str]:
    """A digest of every file, apart from those that each run rewrites: the driver's, and lists in another order."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("driver.json", "manifest", "catalogue")
    }


def test_a_sweep_in_a_process_of_its_own(finished: Sweep, tmp_path: Path) -> None:
    """With all its imports, from another folder."""
    config, _ = finished
    command = [sys.executable, "-m", "compute", "sweep", str(config), "--store", "made", "--address", "serial"]
    root = str(Path(__file__).parents[2])
    process = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": root, "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    counts = SweepStore.open(tmp_path / "made").status_counts()
    assert counts.done == counts.planned
    assert process.stdout == f"made: {counts.planned} units executed, 0 already done, 0 failed\n"
    assert f"sweep: {counts.planned}/{counts.planned} units" in process.stderr
    assert "left out" in process.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made"]


def test_a_dry_run_writes_nothing(finished: Sweep, commands: ForkServer, tmp_path: Path) -> None:
    config, store = finished
    result = commands.run("sweep", config, "--store", tmp_path / "new", "--dry-run")
    assert result.status == 0
    assert not (tmp_path / "new").exists()
    lines = dict(line.split(": ", 1) for line in result.stdout.splitlines())
    assert lines.keys() == {"units", "UNet evaluations", "time", "disk"}
    assert int(lines["units"].split()[0]) == len(SweepStore.open(store).header.plan)
    before = digests_in(store)
    assert commands.run("sweep", config, "--store", store, "--dry-run").status == 0
    assert digests_in(store) == before


def test_a_dry_run_prints_what_the_sweep_costs(finished: Sweep, commands: ForkServer) -> None:
    config, store = finished
    printed = commands.run("sweep", config, "--store", store, "--dry-run").stdout
    status = document(commands.run("status", store, "--json"))
    assert f"UNet evaluations: {status['evaluations']} of one condition" in printed
    assert 0 < status["evaluations"] < status["naive_evaluations"]


def test_running_again_does_nothing(sweep_copy: Sweep, commands: ForkServer) -> None:
    config, store = sweep_copy
    before, began = digests_in(store), time.monotonic()
    result = commands.run("sweep", config, "--store", store, "--address", "serial")
    assert time.monotonic() - began < 60
    planned = len(SweepStore.open(store).header.plan)
    assert result.status == 0
    assert result.stdout == f"{store}: 0 units executed, {planned} already done, 0 failed\n"
    assert digests_in(store) == before


def test_status(finished: Sweep, commands: ForkServer) -> None:
    _, store = finished
    status = document(commands.run("status", store, "--json"))
    counts = status["counts"]
    assert counts["planned"] == counts["done"] == len(SweepStore.open(store).header.plan)
    assert (counts["failed"], counts["left"], status["driver"]["state"]) == (0, 0, "stopped")
    result = commands.run("status", store)
    assert (result.status, result.stderr) == (0, "")
    assert f"{counts['done']} of {counts['planned']} units done, 0 failed, 0 left" in result.stdout
    assert "driver: stopped (finished)" in result.stdout


def test_measure_adds_a_metric(sweep_copy: Sweep, commands: ForkServer) -> None:
    _, store = sweep_copy
    result = commands.run("measure", store, "--metrics", "psnr, psnr,lpips")
    assert result.status == 0, result.stderr
    absent, measured = result.stdout.splitlines()
    assert absent.startswith("lpips: absent: ")
    assert measured == f"{store}: 1 metrics measured on {len(SweepStore.open(store).header.plan)} units"
    opened = SweepStore.open(store)
    for unit in opened.header.plan:
        with opened.read(unit.key) as reader:
            names = {metric.info.name for metric in reader.metrics}
        assert ("psnr" in names) == (unit.role != "baseline")


def test_summary(finished: Sweep, commands: ForkServer, tmp_path: Path) -> None:
    _, store = finished
    summary = document(commands.run("summary", store, "--json", "--sheet", tmp_path / "sheets" / "sheet.png"))
    assert summary["null"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert len(summary["ablations"]) == 9
    with Image.open(tmp_path / "sheets" / "sheet.png") as sheet:
        sheet.load()
        assert sheet.width > 800 and sheet.height > 2 * 128
    text = commands.run("summary", store, "--sheet", tmp_path / "sheet.png").stdout
    assert "matter most" in text and "sample sheet: " in text
    for ablation in summary["ablations"]:
        assert 0 <= ablation["damage"]["low"] <= ablation["damage"]["mean"] <= ablation["damage"]["high"]


def test_a_closed_pipe_gives_no_traceback(finished: Sweep) -> None:
    _, store = finished
    command = f"{sys.executable} -m compute status {store} --json | true"
    process = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in process.stderr
