"""Wrong input of every kind: exit status 2, a line a mistake, no traceback, nothing written."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from store.sweep_store import SweepStore
from tests.cli.fork_server import Ended, Zygote
from tests.sweep.small_config import CONFIG

Sweep = tuple[Path, Path]


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(it.relative_to(folder)): (it.lstat().st_size, it.lstat().st_mtime_ns) for it in folder.rglob("*")}


@contextmanager
def nothing_written(folder: Path) -> Iterator[None]:
    before = everything(folder)
    yield
    assert everything(folder) == before


def refused(ended: Ended, *says: str) -> None:
    """As many lines as mistakes, each saying what is wrong."""
    assert ended.status == 2, ended
    assert ended.stdout == ""
    assert len(ended.lines) == len(says), ended.stderr
    for line, said in zip(ended.lines, says, strict=True):
        assert line.startswith("skipscope: ")
        assert said in line
        assert len(line) < 600


@pytest.fixture
def write(tiny_model: Path, tmp_path: Path) -> Any:
    """Writes a configuration with changes and says where."""

    def written(**changes: Any) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump({"model": str(tiny_model), **CONFIG, **changes}))
        return path

    return written


SWEEPS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"stepz": 3}, ("stepz: is no setting; accepted: model, stage, sampler",)),
    (
        {"guidance": "much", "seeds": [], "windows": [[2, 1]]},
        ("guidance: Input should be a valid number", "seeds: Tuple should have at least", "window [2, 1) is empty"),
    ),
    ({"components": ["mid_block.resnet.0"]}, ("no component matches 'mid_block.resnet.0'; near names: mid_block",)),
    ({"components": ["kind:resnets"]}, ("no component matches 'kind:resnets'; the kinds here are resnet",)),
    ({"actions": [{"name": "bypass", "components": ["nowhere"]}]}, ("no component matches 'nowhere'",)),
    ({"actions": ["zero"], "components": ["unet"]}, ("actions: no chosen component admits zero",)),
    ({"windows": [[0, 2], [3, 5]]}, ("windows.1: [3, 5) reaches beyond the 4 steps; 0 <= start < stop <= 4",)),
    ({"windows": {"count": 5}}, ("windows.count: 5 windows of 4 steps; at most 4",)),
    ({"prompts": {"file": "nowhere.txt"}}, ("prompts.file: ", )),
    ({"prompts": {"file": "empty.txt"}}, ("holds no prompt; write one a line",)),
    ({"prompts": ["a cat", "a cat"]}, ("the same prompt and seed stand there twice",)),
    ({"metrics": ["mse", "beauty"]}, ("metrics: 'beauty' is not known; accepted are",)),
    ({"metrics": ["ssim", "haarpsi"], "model": "nowhere"}, ("model: 'nowhere' is no pipeline",)),
    ({"model": "x" * 5000}, ("model: ",)),
    ({"model": "~nobody-of-this-name/model"}, ("model: ",)),
    ({"sampler": {"name": "ddpm", "steps": 1001}}, ("sampler: steps is 1001; accepted is at most 1000",)),
    ({"seeds": "0:1000000"}, ("prompts, seeds: 3 prompts of 1000000 seeds",)),
    ({"gpus_per_worker": 1}, ("gpus_per_worker: 1 is asked for and this machine shows no GPU",)),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "says"), SWEEPS, ids=[str(changes)[:60] for changes, _ in SWEEPS])
def test_a_wrong_configuration(
    write: Any, commands: Zygote, tmp_path: Path, changes: dict[str, Any], says: tuple[str, ...]
) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    config = write(**changes)
    with nothing_written(tmp_path):
        ended = commands.run("sweep", config, "--store", tmp_path / "store", "--address", "serial")
    refused(ended, *says)


@pytest.mark.parametrize("dry", [True, False])
@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot be read: No such file or directory"),
        ("prompts: [", "is not YAML in line"),
        ("", "holds no settings"),
        ("#" * 2_000_000, "is larger than 1 MiB"),
        ("\udcff", "is not UTF-8 text"),
    ],
)
def test_a_file_that_is_no_configuration(
    commands: Zygote, tmp_path: Path, text: str | None, says: str, dry: bool
) -> None:
    config = tmp_path / "config.yaml"
    if text is not None:
        config.write_bytes(text.encode("utf-8", "surrogateescape"))
    with nothing_written(tmp_path):
        more = ["--dry-run"] if dry else []
        refused(commands.run("sweep", config, "--store", tmp_path / "store", *more), says)


def test_addresses_where_nobody_listens(write: Any, commands: Zygote, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    config = write()
    for address, says in (
        (f"127.0.0.1:{free}", "Connection refused"),
        ("nowhere", "'nowhere' is no address; local, serial, auto, or a Ray cluster's HOST:PORT are accepted"),
        ("host:", "is no address"),
        ("host:99999", "is no address"),
        ("ray://127.0.0.1:10001", "is no address"),
        ("", "is no address"),
        ("no-such-host.invalid:6379", "no Ray cluster answers at 'no-such-host.invalid:6379'"),
    ):
        began = time.monotonic()
        with nothing_written(tmp_path):
            ended = commands.run("sweep", config, "--store", tmp_path / "store", "--address", address)
        refused(ended, f"--address: {'' if 'no address' in says else 'no Ray cluster answers'}")
        assert says in ended.stderr
        assert time.monotonic() - began < 30


@pytest.mark.parametrize("stale", [False, True])
def test_auto_without_a_cluster(write: Any, commands: Zygote, tmp_path: Path, stale: bool) -> None:
    """There never was one, or it died and Ray still remembers its address."""
    config = write()
    (tmp_path / "ray").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    if stale:
        (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{port}")
    alone = "import ray; ray._private.services.find_gcs_addresses = set"  # whatever else this machine runs
    with nothing_written(tmp_path):
        arguments = ("sweep", config, "--store", tmp_path / "store", "--address", "auto")
        ended = commands.run(*arguments, env={"RAY_TMPDIR": str(tmp_path)}, before=alone)
    refused(ended, "--address: no Ray cluster answers at '")
    assert (f":{port}': Connection refused" if stale else "'auto': Could not find any running Ray") in ended.stderr


STORE_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("status",),
    ("status", "--json"),
    ("measure", "--metrics", "ssim"),
    ("summary",),
    ("phases",),
)


@pytest.mark.parametrize("command", STORE_COMMANDS, ids=" ".join)
def test_a_path_that_is_no_sweep(commands: Zygote, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "sweep.json").write_text("{}")
    name, *options = command
    for place in ("nowhere", "folder", "file", "other", "x" * 300):
        with nothing_written(tmp_path):
            ended = commands.run(name, tmp_path / place, *options)
        assert ended.status == 2, (place, ended)
        assert (ended.stdout, len(ended.lines)) == ("", 1), (place, ended)


@pytest.mark.parametrize("command", [*STORE_COMMANDS, ("sweep",)], ids=" ".join)
def test_a_store_of_a_newer_format(
    sweep_copy: Sweep, commands: Zygote, tmp_path: Path, command: tuple[str, ...]
) -> None:
    config, store = sweep_copy
    header = (store / "sweep.json").read_text()
    assert header.count('"version": 1,\n') == 1
    (store / "sweep.json").write_text(header.replace('"version": 1,\n', '"version": 2,\n'))
    name, *options = command
    arguments = (config, "--store", store, "--address", "serial") if name == "sweep" else (store, *options)
    with nothing_written(store):
        refused(commands.run(name, *arguments), "is of format 2; this release reads up to 1: upgrade skipscope")


def test_a_store_in_a_place_that_cannot_hold_one(finished: Sweep, commands: Zygote, tmp_path: Path) -> None:
    config, _ = finished
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    (tmp_path / "file").write_text("x")
    for place, says in (
        ("full", "is not empty; a new sweep needs an empty folder"),
        ("file", "file"),
        ("file/below", "Not a directory"),
        ("x" * 300, "File name too long"),
    ):
        with nothing_written(tmp_path):
            ended = commands.run("sweep", config, "--store", tmp_path / place, "--address", "serial")
        refused(ended, says)


@pytest.mark.parametrize("command", ["sweep", "extend", "measure"])
def test_a_store_that_another_driver_holds(
    sweep_copy: Sweep, commands: Zygote, tmp_path: Path, write: Any, command: str
) -> None:
    config, store = sweep_copy
    if command == "extend":
        config = write(windows={"count": 4})
    if command == "sweep":
        next((store / "units").iterdir()).unlink()
    arguments = ("measure", store, "--metrics", "ssim")
    if command != "measure":
        arguments = ("sweep", config, "--store", store, "--address", "serial")
    with SweepStore.open(store).drive("somebody", heartbeat_seconds=600):
        token = SweepStore.open(store).new_token()
        with nothing_written(store):
            ended = commands.run(*arguments)
        told = "".join(line + "\n" for line in ended.lines if not line.startswith("left out: "))
        refused(replace(ended, stderr=told), "is driven by somebody on ")
        assert SweepStore.open(store).sees_token(token), "the other driver's workers would now be refused"


def test_another_model_in_the_same_store(sweep_copy: Sweep, commands: Zygote, write: Any) -> None:
    _, store = sweep_copy
    with nothing_written(store):
        ended = commands.run("sweep", write(dtype="bfloat16"), "--store", store, "--address", "serial")
    refused(ended, "holds a sweep with another dtype")


def test_wrong_metrics(finished: Sweep, commands: Zygote) -> None:
    _, store = finished
    with nothing_written(store):
        refused(commands.run("measure", store, "--metrics", "beauty"), "metrics: 'beauty' is not known")
        refused(commands.run("measure", store, "--metrics", " ,"), "--metrics: names no metric")
        ended = commands.run("summary", store, "--metric", "beauty")
        refused(ended, "--metric: 'beauty' was not measured here; accepted: ")


def test_a_summary_before_there_is_anything(sweep_copy: Sweep, commands: Zygote, tmp_path: Path) -> None:
    _, store = sweep_copy
    for shard in (store / "units").iterdir():
        shard.unlink()
    with nothing_written(tmp_path):
        refused(commands.run("summary", store, "--json"), "has no finished control or ablation yet; run the sweep on")


def test_a_sheet_that_cannot_be_written(finished: Sweep, commands: Zygote, tmp_path: Path) -> None:
    _, store = finished
    (tmp_path / "file").write_text("x")
    refused(commands.run("summary", store, "--sheet", tmp_path / "file" / "sheet.png"), "cannot be written")
    refused(commands.run("summary", store, "--sheet", tmp_path), "cannot be written: Is a directory")


SAMPLES: list[tuple[tuple[object, ...], str]] = [
    (("--model", "nowhere"), "model: 'nowhere' is no pipeline: give glide-mini, or a folder"),
    (("--sampler", "euler"), "--sampler: name: Input should be 'ddpm' or 'ddim'"),
    (("--steps", 0), "--steps"),
    (("--steps", "x"), "--steps"),
    (("--steps", 1), "--sampler: "),
    (("--seed", -1), "--seed"),
    (("--seed", 2**63), "--seed"),
    (("--guidance", "nan"), ""),
    (("--nothing",), "--nothing"),
]


@pytest.mark.parametrize(("options", "says"), SAMPLES, ids=[" ".join(map(str, it)) for it, _ in SAMPLES])
def test_a_wrong_sample(
    tiny_model: Path, commands: Zygote, tmp_path: Path, options: tuple[object, ...], says: str
) -> None:
    with nothing_written(tmp_path):
        picture = tmp_path / "a.png"
        refused(commands.run("sample", "--model", tiny_model, "--prompt", "a cat", "-o", picture, *options), says)


def test_a_sample_that_cannot_be_written(tiny_model: Path, commands: Zygote, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place, says in ((tmp_path / "file" / "a.png", "cannot be written"), (tmp_path, "Is a directory")):
        ended = commands.run("sample", "--model", tiny_model, "--prompt", "a cat", "-o", place, "--steps", 2)
        refused(ended, says)


def test_a_damaged_model(tiny_model: Path, commands: Zygote, tmp_path: Path) -> None:
    import shutil

    for name, content in (("unet/config.json", b"{"), ("unet/diffusion_pytorch_model.safetensors", b"x" * 99)):
        model = tmp_path / name.replace("/", "-")
        shutil.copytree(tiny_model, model)
        (model / name).write_bytes(content)
        ended = commands.run("sample", "--model", model, "--prompt", "a", "-o", tmp_path / "a.png", "--steps", 2)
        refused(ended, "cannot be loaded")


@pytest.mark.parametrize(
    "arguments", [("swep",), ("sweep",), ("sweep", "a", "b", "--store", "c"), ("status", "--josn")]
)
def test_wrong_usage(commands: Zygote, arguments: tuple[str, ...]) -> None:
    refused(commands.run(*arguments), "")


def interrupted(commands: Zygote, config: Path, store: Path, address: str) -> tuple[Ended, float]:
    """Ctrl-C once some units are done; how it ended, and after how many seconds."""
    running = commands.start("sweep", config, "--store", store, "--address", address, "--workers", 2)
    while not (store / "units").is_dir() or len(list((store / "units").iterdir())) < 3:
        assert not running.poll(), running.wait()
        time.sleep(0.02)
    running.kill(signal.SIGINT)
    began = time.monotonic()
    return running.wait(), time.monotonic() - began


@pytest.mark.parametrize("address", ["serial", "local"])
def test_ctrl_c(write: Any, commands: Zygote, tmp_path: Path, address: str) -> None:
    config, store = write(windows={"count": 4}, retries=0), tmp_path / "store"
    ended, seconds = interrupted(commands, config, store, address)
    assert ended.status == 130, ended
    assert ended.stdout == ""
    told = [line for line in ended.lines if not line.startswith(("left out", "sweep: "))]
    assert told == ["skipscope: interrupted; what is done stays, and the same command goes on from there"]
    assert seconds < 15
    assert SweepStore.open(store).driver().reason == "interrupted"
    before = everything(store / "units")
    assert before
    again = commands.run("sweep", config, "--store", store, "--address", "serial")
    assert again.status == 0, again.stderr
    counts = SweepStore.open(store).status_counts()
    assert counts.done == counts.planned
    assert before.items() <= everything(store / "units").items()
    assert json.loads(commands.run("status", store, "--json").stdout)["counts"]["left"] == 0
    assert os.listdir(store / "failures") == []
