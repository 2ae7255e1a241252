"""Ctrl-C: exit status 130, one line, and a store that resumes."""

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


def interrupt(commands: ForkServer, config: Path, store: Path, address: str) -> tuple[Result, float]:
    """Send Ctrl-C after three units; return the result and the seconds that the command took to end."""
    running = commands.start("sweep", config, "--store", store, "--address", address, "--workers", 2)
    while not (store / "units").is_dir() or len(list((store / "units").iterdir())) < 3:
        assert not running.poll(), running.wait()
        time.sleep(0.02)
    running.kill(signal.SIGINT)
    began = time.monotonic()
    return running.wait(), time.monotonic() - began


@pytest.mark.parametrize("address", ["serial", "local"])
def test_an_interrupted_sweep_resumes(
    write: Callable[..., Path], commands: ForkServer, tmp_path: Path, address: str
) -> None:
    config, store = write(windows={"count": 4}, retries=0), tmp_path / "store"
    result, seconds = interrupt(commands, config, store, address)
    assert result.status == 130, result
    assert result.stdout == ""
    lines = [line for line in result.lines if not line.startswith(("left out", "sweep: "))]
    assert lines == ["skipscope: interrupted; what is done stays, and the same command goes on from there"]
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
