"""Ctrl-C, SIGTERM and SIGHUP: an exit status of their own, one line, and a store that resumes."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from store.sweep_store import SweepStore
from tests.cli.fork_server import ForkServer, Result
from tests.cli.outcomes import files_in
from tests.faults.checks import shard_digests


def interrupt(
    commands: ForkServer, config: Path, store: Path, address: str, number: signal.Signals
) -> tuple[Result, float]:
    """Send a signal after three units; return the result and the seconds that the command took to end."""
    running = commands.start("sweep", config, "--store", store, "--address", address, "--workers", 2)
    while not (store / "units").is_dir() or len(list((store / "units").iterdir())) < 3:
        assert not running.poll(), running.wait()
        time.sleep(0.02)
    running.kill(number)
    began = time.monotonic()
    return running.wait(), time.monotonic() - began


@pytest.mark.parametrize(
    ("address", "number"),
    [
        ("serial", signal.SIGINT),
        ("serial", signal.SIGTERM),
        ("serial", signal.SIGHUP),
        ("local", signal.SIGINT),
        ("local", signal.SIGTERM),
        pytest.param("local", signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_sweep_resumes(
    write: Callable[..., Path], commands: ForkServer, tmp_path: Path, address: str, number: signal.Signals
) -> None:
    config, store = write(windows={"count": 4}, retries=0), tmp_path / "store"
    result, seconds = interrupt(commands, config, store, address, number)
    assert result.status == 128 + number, result
    assert result.stdout == ""
    lines = [line for line in result.lines if not line.startswith(("left out", "sweep: "))]
    what = "interrupted" if number == signal.SIGINT else f"stopped by {number.name}"
    assert lines == [f"skipscope: {what}; what is done stays, and the same command goes on from there"]
    assert seconds < 15
    assert SweepStore.open(store).driver().reason == "interrupted"
    before = files_in(store / "units")
    assert before
    resumed = commands.run("sweep", config, "--store", store, "--address", "serial")
    assert resumed.status == 0, resumed.stderr
    counts = SweepStore.open(store).status_counts()
    assert counts.done == counts.planned
    assert before.items() <= files_in(store / "units").items()
    assert json.loads(commands.run("status", store, "--json").stdout)["counts"]["left"] == 0
    assert os.listdir(store / "failures") == []


STOP = "import os, signal, time; stop = lambda *_, **__: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(60))\n"
"""Code that makes what it replaces the moment in which SIGTERM comes."""
TRAINING = "from compute.models.mini.training import commands"


@pytest.mark.parametrize(
    ("command", "moment"),
    [
        ("measure {store} --metrics psnr", "from store.sweep_store import SweepStore; SweepStore.add_metrics = stop"),
        ("recommend {store} --max-damage 900 -o {new}", "import compute.models.model as m; m.Model.run = stop"),
        ("validate {policy} -o {new}", "import compute.models.model as m; m.Model.run = stop"),
        ("sample --model {model} --prompt cat -o {new}", "import compute.models.model as m; m.Model.run = stop"),
        ("train-mini -o {new} --iterations 1", f"{TRAINING}; commands.train = stop"),
        (
            "train-judge -o {new} --iterations 1",
            "import compute.models.mini.training.commands as m; m.train_judge = stop",
        ),
    ],
)
def test_other_commands_end_cleanly(
    commands: ForkServer,
    sweep_copy: tuple[Path, Path],
    tiny_model: Path,
    policy: Path,
    tmp_path: Path,
    command: str,
    moment: str,
) -> None:
    """Nothing is written, and no lease is left behind."""
    new, store = tmp_path / "new", sweep_copy[1]
    before = shard_digests(store)
    words = command.format(store=store, new=new, policy=policy, model=tiny_model).split()
    result = commands.run(*words, before=STOP + moment)
    assert (result.status, result.stdout) == (143, ""), result
    assert result.lines[-1].startswith("skipscope: stopped by SIGTERM; ")
    assert "Traceback" not in result.stderr
    assert not new.is_file()
    assert shard_digests(store) == before
    assert SweepStore.open(store).driver().state == "stopped"
