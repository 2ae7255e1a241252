"""Folders that are no usable store: exit status 2, one line, no traceback, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from store.sweep_store import SweepStore
from tests.cli.fork_server import ForkServer
from tests.cli.outcomes import assert_refused, nothing_written

Sweep = tuple[Path, Path]
STORE_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("status",),
    ("status", "--json"),
    ("measure", "--metrics", "ssim"),
    ("summary",),
    ("phases",),
)


@pytest.mark.parametrize("command", STORE_COMMANDS, ids=" ".join)
def test_a_path_without_a_sweep(commands: ForkServer, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "sweep.json").write_text("{}")
    name, *options = command
    for path in ("nowhere", "folder", "file", "other", "x" * 300):
        with nothing_written(tmp_path):
            result = commands.run(name, tmp_path / path, *options)
        assert result.status == 2, (path, result)
        assert (result.stdout, len(result.lines)) == ("", 1), (path, result)


@pytest.mark.parametrize("command", [*STORE_COMMANDS, ("sweep",)], ids=" ".join)
def test_a_store_of_a_newer_format(sweep_copy: Sweep, commands: ForkServer, command: tuple[str, ...]) -> None:
    config, store = sweep_copy
    header = (store / "sweep.json").read_text()
    assert header.count('"version": 2,\n') == 1
    (store / "sweep.json").write_text(header.replace('"version": 2,\n', '"version": 3,\n'))
    name, *options = command
    arguments = (config, "--store", store, "--address", "serial") if name == "sweep" else (store, *options)
    with nothing_written(store):
        assert_refused(commands.run(name, *arguments), "is of format 3; this release reads up to 2: upgrade skipscope")


def test_a_path_that_cannot_hold_a_store(finished: Sweep, commands: ForkServer, tmp_path: Path) -> None:
    config, _ = finished
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    (tmp_path / "file").write_text("x")
    for path, message in (
        ("full", "is not empty; a new sweep needs an empty folder"),
        ("file", "file"),
        ("file/below", "Not a directory"),
        ("x" * 300, "File name too long"),
    ):
        with nothing_written(tmp_path):
            result = commands.run("sweep", config, "--store", tmp_path / path, "--address", "serial")
        assert_refused(result, message)


@pytest.mark.parametrize("command", ["sweep", "extend", "measure"])
def test_a_store_that_another_driver_holds(
    sweep_copy: Sweep, commands: ForkServer, write: Callable[..., Path], command: str
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
            result = commands.run(*arguments)
        error = "".join(line + "\n" for line in result.lines if not line.startswith("left out: "))
        assert_refused(replace(result, stderr=error), "is driven by somebody on ")
        assert SweepStore.open(store).sees_token(token), "the other driver's workers would now be refused"


def test_another_dtype_in_the_same_store(sweep_copy: Sweep, commands: ForkServer, write: Callable[..., Path]) -> None:
    _, store = sweep_copy
    with nothing_written(store):
        result = commands.run("sweep", write(dtype="bfloat16"), "--store", store, "--address", "serial")
    assert_refused(result, "holds a sweep with another dtype")


def test_unknown_metrics(finished: Sweep, commands: ForkServer) -> None:
    _, store = finished
    with nothing_written(store):
        assert_refused(commands.run("measure", store, "--metrics", "beauty"), "metrics: 'beauty' is not known")
        assert_refused(commands.run("measure", store, "--metrics", " ,"), "--metrics: names no metric")
        result = commands.run("summary", store, "--metric", "beauty")
        assert_refused(result, "--metric: 'beauty' was not measured here; accepted: ")


def test_a_summary_of_an_empty_sweep(sweep_copy: Sweep, commands: ForkServer, tmp_path: Path) -> None:
    _, store = sweep_copy
    for shard in (store / "units").iterdir():
        shard.unlink()
    with nothing_written(tmp_path):
        result = commands.run("summary", store, "--json")
    assert_refused(result, "has no finished control or ablation yet; run the sweep on")


def test_a_sheet_that_cannot_be_written(finished: Sweep, commands: ForkServer, tmp_path: Path) -> None:
    _, store = finished
    (tmp_path / "file").write_text("x")
    in_a_file = commands.run("summary", store, "--sheet", tmp_path / "file" / "sheet.png")
    assert_refused(in_a_file, "cannot be written")
    assert_refused(commands.run("summary", store, "--sheet", tmp_path), "cannot be written: Is a directory")
