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
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_cluster_started_by_others(config_file: Path, tmp_path: Path) -> None:
    """By address and by `auto`, through the command line, with a token; the cluster keeps running."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={port}"]
    more = ["--node-ip-address=127.0.0.1", "--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats"]
    # A folder of its own, in which Ray writes its address; the names of its sockets must be short.
    scratch = tempfile.mkdtemp(prefix="r", dir="/tmp")
    variables = {"RAY_TMPDIR": scratch, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
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
        for address in (f"127.0.0.1:{port}", "auto"):
            store = tmp_path / address
            arguments = ["sweep", str(config_file), "--store", str(store), "--address", address, "--workers", "2"]
            ended = subprocess.run(
                [sys.executable, "-m", "compute", *arguments],
                capture_output=True, text=True, timeout=300, check=False, env=environment,
            )  # fmt: skip
            assert ended.returncode == 0, ended.stderr
            assert "24 units executed, 0 already done, 0 failed" in ended.stdout
            lines = [line for line in ended.stderr.splitlines() if "Found multiple active Ray instances" not in line]
            assert all(line.startswith(("left out", "sweep: ")) for line in lines), ended.stderr
            assert head.poll() is None
    finally:
        os.killpg(head.pid, signal.SIGTERM)
        head.wait(60)
        shutil.rmtree(scratch, ignore_errors=True)


def _wait_for(port: int) -> None:
    for _ in range(120):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(1)
    time.sleep(5)
