"""Addresses without a Ray cluster: refused quickly, in one line, and nothing is written."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.fork_server import ForkServer
from tests.cli.outcomes import assert_refused, nothing_written


def test_addresses_where_no_cluster_listens(write: Callable[..., Path], commands: ForkServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    config = write()
    for address, message in (
        (f"127.0.0.1:{free}", "Connection refused"),
        ("nowhere", "'nowhere' is not an address; local, serial, auto, or a Ray cluster's HOST:PORT are accepted"),
        ("host:", "is not an address"),
        ("host:99999", "is not an address"),
        ("ray://127.0.0.1:10001", "is not an address"),
        ("", "is not an address"),
        ("no-such-host.invalid:6379", "no Ray cluster answers at 'no-such-host.invalid:6379'"),
    ):
        began = time.monotonic()
        with nothing_written(tmp_path):
            result = commands.run("sweep", config, "--store", tmp_path / "store", "--address", address)
        assert_refused(result, f"--address: {'' if 'not an address' in message else 'no Ray cluster answers'}")
        assert message in result.stderr
        assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("variable", "message"),
    [("nowhere", "'nowhere' is not an address"), ("127.0.0.1:1", "no Ray cluster answers at '127.0.0.1:1'")],
)
def test_the_environment_is_named_where_it_is_wrong(
    write: Callable[..., Path], commands: ForkServer, tmp_path: Path, variable: str, message: str
) -> None:
    config = write()
    with nothing_written(tmp_path):
        arguments = ("sweep", config, "--store", tmp_path / "store", "--address", "auto")
        result = commands.run(*arguments, env={"RAY_ADDRESS": variable})
    assert_refused(result, f"RAY_ADDRESS in the environment: {message}")
    assert "--address" not in result.stderr


@pytest.mark.parametrize("stale", [False, True])
def test_auto_without_a_cluster(write: Callable[..., Path], commands: ForkServer, tmp_path: Path, stale: bool) -> None:
    """There never was a cluster, or it died and Ray still remembers its address."""
    config = write()
    (tmp_path / "ray").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    if stale:
        (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{port}")
    no_others = "import ray; ray._private.services.find_gcs_addresses = set"  # whatever else this machine runs
    with nothing_written(tmp_path):
        arguments = ("sweep", config, "--store", tmp_path / "store", "--address", "auto")
        result = commands.run(*arguments, env={"RAY_TMPDIR": str(tmp_path)}, before=no_others)
    assert_refused(result, "--address: no Ray cluster answers at '")
    assert (f":{port}': Connection refused" if stale else "'auto': Could not find any running Ray") in result.stderr
