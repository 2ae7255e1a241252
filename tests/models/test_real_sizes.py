"""Stable Diffusion 1.5's, SDXL's and GLIDE's UNets at their real sizes, with random weights; `-s` shows the figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.test_architecture import ROOT

pytestmark = pytest.mark.slow


def figures(*arguments: str, module: str = "tests.models.real_sizes") -> dict[str, Any]:
    """Measure in a process of its own, whose peak memory is then the network's."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_stable_diffusion() -> None:
    found = figures("sd15", "--forward")
    assert found["parameters"] == 859_520_964
    assert found["components"] > 100 and 700 < found["GFLOP"] < 900
    assert found["finite"] and found["empty is bit-identical"]
    assert found["DeepCache's steps that are bit-identical"] == [0, 2]
    assert found["GFLOP, a reusing step"] < 0.1 * found["GFLOP"]
    seconds = found["CPU seconds"]
    assert seconds["DeepCache, a reusing step"] < 0.3 * seconds["DeepCache, a full step"]
    assert seconds["reading"] < 5
    assert found["GiB, read"] - found["GiB, network"] < 0.2, "reading copies no weights"
    assert found["GiB, all"] < 5


def test_stable_diffusion_xl() -> None:
    found = figures("sdxl-base")
    assert found["parameters"] == 2_567_463_684
    assert found["components"] > 200 and 5_000 < found["GFLOP"] < 8_000
    assert found["CPU seconds"]["reading"] < 15
    assert found["GiB, all"] < 1, "reading needs no weights"


def test_a_sweep_of_stable_diffusion(tmp_path: Path) -> None:
    found = figures(str(tmp_path), module="tests.models.real_sweep")
    assert found["first"] | {"CPU seconds": 0} == {"executed": 4, "failed": 0, "CPU seconds": 0}
    assert found["again"]["executed"] == 0
    assert found["problems"] == []
    units = {name: unit["rel_l2"] for name, unit in found.items() if isinstance(unit, dict) and "rel_l2" in unit}
    assert units["compute nothing in steps 1-2"] == 0
    assert units["bypass mid_block.attentions.0 in steps 0-2"] > 0
    assert found["baseline"]["shape"] == [1, 3, 128, 128]
    assert found["GiB, all"] < 12


def test_glide(tmp_path: Path) -> None:
    """OpenAI's base at its full size with random weights: converted to both precisions, and swept."""

    def run(command: str) -> dict[str, Any]:
        return figures(command, str(tmp_path), module="tests.models.real_glide")

    assert run("checkpoint")["parameters"] == 385_030_726
    for dtype in ("float32", "float16"):
        converted = run(dtype)
        assert converted["GiB, peak"] - converted["GiB, before"] < 1.5 * converted["GiB, result"]
        assert (tmp_path / dtype / "base" / "model_index.json").is_file()
    found = run("sweep")
    assert (found["executed"], found["failed"], found["problems"]) == (4, 0, [])
    assert found["compute nothing in steps 1-1"]["rel_l2"] == 0
    assert found["bypass mid_block.attentions.0 in steps 0-1"]["rel_l2"] > 0
    assert found["baseline"]["shape"] == [1, 3, 64, 64]
    assert found["GiB, all"] < 6
