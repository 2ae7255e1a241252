"""Every example of docs/examples runs, on tiny pipelines: all in one process, because it takes longest to import."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline.tiny_pipelines import PIPELINES, picture, scheduler
from tests.test_architecture import ROOT

from diffusers import PNDMScheduler  # isort: skip

EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
LONG = "a cat on grass on a dog"  # longer than the tiny tokenizer's 8 tokens
ARGUMENTS = {
    "stable_diffusion": "text-to-image --steps 6 --size 16 --prompt dog",
    "image_to_image": "text-to-image picture.png --steps 12 --size 16 --prompt dog",
    "inpainting": "inpainting picture.png mask.png --steps 4 --size 16 --prompt dog",
    "controlnet": "ControlNet ControlNet/controlnet picture.png --steps 4 --size 16 --prompt dog",
    "stable_diffusion_xl": "XL --steps 4 --size 16 --prompt dog",
    "unconditional_ddpm": "unconditional --steps 8",
    "sweep_your_model": f"text-to-image store --steps 5 --size 16 --threads 1 --min-speedup 1.1 --prompts cat '{LONG}'",
}
RUNNER = """
import json, runpy, sys, traceback
from contextlib import redirect_stdout
from io import StringIO
results = {}
for name, path, arguments in json.loads(sys.argv[1]):
    sys.argv, printed = [path, *arguments], StringIO()
    error = ""
    try:
        with redirect_stdout(printed):
            runpy.run_path(path, run_name="__main__")
    except BaseException:
        error = traceback.format_exc()
    results[name] = [printed.getvalue(), error]
json.dump(results, open("results.json", "w"))
"""
LINE = r"full compute [\d.]+ s, (.+) [\d.]+ s, difference (\d\.\d{4})\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pipelines and pictures that the examples are given."""
    folder = tmp_path_factory.mktemp("examples")
    for kind in ("text to image", "inpainting", "ControlNet", "XL", "unconditional"):
        pipe = PIPELINES[kind]()
        if kind in ("text to image", "inpainting"):  # as in the folders of Stable Diffusion 1.5
            pipe.scheduler = scheduler(PNDMScheduler, skip_prk_steps=True)
        pipe.save_pretrained(folder / kind.replace(" ", "-"))
    picture().save(folder / "picture.png")
    picture(1).convert("L").point(lambda value: 255 * (value > 127)).save(folder / "mask.png")
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, list[str]]:
    """What each example has printed, and its traceback or ""; and the lines on standard error of all of them."""
    calls = [(path.stem, str(path), shlex.split(ARGUMENTS[path.stem])) for path in EXAMPLES]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, json.dumps(calls)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    loaded: dict[str, list[str]] = json.loads((folder / "results.json").read_text())
    return loaded | {"standard error": done.stderr.splitlines()}


@pytest.mark.parametrize("name", [path.stem for path in EXAMPLES if path.stem != "sweep_your_model"])
def test_an_example_samples_by_a_policy(name: str, results: dict[str, list[str]]) -> None:
    printed, error = results[name]
    assert not error
    found = re.fullmatch(LINE, printed)
    assert found, printed
    assert 0 < float(found[2]) < 0.5


def test_the_example_of_a_sweep(folder: Path, results: dict[str, list[str]]) -> None:
    printed, error = results["sweep_your_model"]
    assert not error
    assert re.match(r"\d{2,} units executed, 0 were there, 0 failed\n(composition ends at|no prompt switch)", printed)
    assert json.loads((folder / "policy.json").read_text())["rules"]


def test_a_sweep_and_a_search_say_once_what_is_cut(results: dict[str, list[str]]) -> None:
    lines = results["standard error"]
    told = f"prompts: 1 of 2 is longer than the 8 tokens that the text encoder reads, and is cut; the first: {LONG!r}"
    assert [line for line in lines if line.startswith("prompts: ")] == [told, told]
    assert not [line for line in lines if "truncated" in line or "Token indices" in line]


def test_examples_are_short_and_listed() -> None:
    page = (ROOT / "docs" / "examples.md").read_text()
    assert {path.stem for path in EXAMPLES} == set(ARGUMENTS)
    for path in EXAMPLES:
        assert f"](examples/{path.name})" in page
        assert f"Usage: python docs/examples/{path.name} FOLDER" in path.read_text()
        assert 25 <= len(path.read_text().splitlines()) <= 50
