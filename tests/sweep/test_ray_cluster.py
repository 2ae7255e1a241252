"""Sweeps on a Ray cluster that was started by others."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sweep.small_config import CONFIG, LASTING, write_config


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster that others have started: its address, its processes, and the environment of its drivers."""

    address: str
    head: subprocess.Popen[bytes]
    environment: dict[str, str]

    def command(self, config: Path, store: Path, address: str) -> list[str]:
        """The command line of a sweep on it."""
        arguments = ["sweep", str(config), "--store", str(store), "--address", address, "--workers", "2"]
        return [sys.executable, "-m", "compute", *arguments]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={port}"]
    more = ["--node-ip-address=127.0.0.1", "--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats"]
    # A folder of its own, in which Ray writes its address; the names of its sockets must be short.
    scratch = tempfile.mkdtemp(prefix="r", dir="/tmp")
    variables = {"RAY_TMPDIR": scratch, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    variables["RAY_worker_niceness"] = "0"  # as docs/cluster.md advises: workers would starve on a busy machine
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"} | variables
    head = subprocess.Popen(
        [*command, *more],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment,
    )
    try:
        _wait_for(port)
        yield Cluster(address=f"127.0.0.1:{port}", head=head, environment=environment)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(head.pid, signal.SIGTERM)
        head.wait(60)
        shutil.rmtree(scratch, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_cluster_started_by_others(cluster: Cluster, config_file: Path, tmp_path: Path) -> None:
    """By address and by `auto`, through the command line, with a token; the cluster keeps running."""
    for address in (cluster.address, "auto"):
        ended = subprocess.run(
            cluster.command(config_file, tmp_path / address, address),
            capture_output=True, text=True, timeout=300, check=False, env=cluster.environment,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        assert "24 units executed, 0 already done, 0 failed" in ended.stdout
        lines = [line for line in ended.stderr.splitlines() if "Found multiple active Ray instances" not in line]
        assert all(line.startswith(("left out", "sweep: ")) for line in lines), ended.stderr
        assert cluster.head.poll() is None


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("stop", ["kill the head", "SIGTERM"])
def test_a_sweep_that_loses_its_cluster_or_is_stopped(
    cluster: Cluster, tiny_model: Path, tmp_path: Path, stop: str
) -> None:
    """Both end with one line, in bounded time. The sweep outlasts the test, however fast its workers are."""
    config = write_config(tmp_path / "config.yaml", tiny_model, **{**CONFIG, **LASTING})
    with subprocess.Popen(
        cluster.command(config, tmp_path / "store", cluster.address),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=cluster.environment,
    ) as driver:  # fmt: skip
        while not list((tmp_path / "store").glob("baselines/*.h5")):
            assert driver.poll() is None
            time.sleep(0.1)
        if stop == "SIGTERM":
            driver.send_signal(signal.SIGTERM)
        else:
            os.killpg(cluster.head.pid, signal.SIGKILL)
        stopped = time.monotonic()
        _, errors = driver.communicate(timeout=120)
        seconds = time.monotonic() - stopped
    last = [line for line in errors.splitlines() if not line.startswith(("left out", "sweep: "))]
    assert len(last) == 1, errors
    if stop == "SIGTERM":
        assert (driver.returncode, last[0].startswith("skipscope: stopped by SIGTERM; ")) == (143, True), errors
        assert seconds < 10
    else:
        assert driver.returncode == 2 and last[0].startswith("skipscope: workers: the cluster's head at "), errors
        assert seconds < 75


def _wait_for(port: int) -> None:
    for _ in range(120):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(1)
    time.sleep(5)
