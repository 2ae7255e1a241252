"""The Ray executor's scheduling, with actors that need no model; where it listens; a cluster of somebody else's."""

from __future__ import annotations

import ipaddress
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray

from compute.sweep.executors import ray_executor
from compute.sweep.executors.executor import Done, Failed, Outcome, SweepStopped
from compute.sweep.executors.ray_executor import RayExecutor
from store.records import Condition, Unit

WORKERS = 2


def actor_class() -> type:
    """A worker that does as the prompt says. Made in a function, so that Ray ships it by value."""

    class Obedient:
        def __init__(self, folder: Path) -> None:
            self.folder = folder

        def start(self) -> str | None:
            import os

            if (self.folder / "die at start").exists():
                os._exit(1)
            refuse = self.folder / "refuse"
            return refuse.read_text() if refuse.exists() else None

        def run(self, unit: Any) -> Any:
            import os
            from types import SimpleNamespace

            order = unit.conditions[0].prompt.split()[0]
            with (self.folder / "ran").open("a") as file:
                file.write(unit.conditions[0].prompt + "\n")
            if order == "die":
                os._exit(1)
            good = order == "do"
            return SimpleNamespace(
                receipt=unit.key if good else None, reason=f"told to {order}", details="", fatal=order == "stop"
            )

    return Obedient


def units(*orders: str) -> list[Unit]:
    found = []
    for number, order in enumerate(orders):
        condition = Condition(prompt=f"{order} {number}", seed=0, guidance=1)
        found.append(Unit(key=f"{number:064x}", role="baseline", conditions=(condition,)))
    return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray_executor._connect("local", cores=WORKERS)
    try:
        yield
    finally:
        ray.shutdown()


@pytest.fixture
def folder(cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(ray_executor, "_Actor", actor_class())
    monkeypatch.setattr(ray_executor, "_connect", lambda *_, **__: None)
    return tmp_path


def execute(folder: Path, wanted: Sequence[Unit], retries: int = 2) -> list[Outcome]:
    found: list[Outcome] = []
    options: dict[str, Any] = {"address": "local", "workers": WORKERS, "threads": 1, "gpus": 0, "retries": retries}
    executor = RayExecutor(folder, **options)  # type: ignore[arg-type]  # the actor of this test takes a folder
    try:
        found.extend(executor.execute(wanted))
    finally:
        for hand in executor._hands:
            ray.kill(hand.handle)
    return found


def ran(folder: Path) -> Counter[str]:
    return Counter((folder / "ran").read_text().splitlines())


def test_every_unit_ends_once(folder: Path) -> None:
    wanted = units(*["do"] * 25)
    outcomes = execute(folder, wanted)
    assert sorted(it.unit.key for it in outcomes) == [unit.key for unit in wanted]
    assert all(isinstance(it, Done) and it.receipt == it.unit.key for it in outcomes)
    assert set(ran(folder).values()) == {1}


def test_nothing_to_do(folder: Path) -> None:
    assert execute(folder, []) == []


def test_a_unit_that_fails_is_tried_again_and_given_up(folder: Path) -> None:
    outcomes = execute(folder, units("do", "fail", "do", "fail", "do"))
    failed = {it.unit.conditions[0].prompt: it for it in outcomes if isinstance(it, Failed)}
    assert failed.keys() == {"fail 1", "fail 3"} and len(outcomes) == 5
    assert all((it.attempts, it.reason) == (3, "told to fail") for it in failed.values())
    assert ran(folder) == {"do 0": 1, "fail 1": 3, "do 2": 1, "fail 3": 3, "do 4": 1}


def test_a_unit_that_kills_its_worker_is_given_up_and_no_other_is_lost(folder: Path) -> None:
    outcomes = execute(folder, units("do", "die", *["do"] * 8))
    (failed,) = [it for it in outcomes if isinstance(it, Failed)]
    assert failed.unit.conditions[0].prompt == "die 1"
    assert (failed.attempts, failed.reason) == (3, "the worker died while it ran this unit")
    assert len({it.unit.key for it in outcomes}) == len(outcomes) == 10
    counts = ran(folder)
    assert set(counts) == {"die 1", *(f"do {i}" for i in (0, *range(2, 10)))}
    assert counts["die 1"] >= 3  # once more where the worker died before it could say that the unit before was done


def test_units_that_kill_every_worker_stop_the_sweep(folder: Path) -> None:
    with pytest.raises(
        SweepStopped, match=r"^workers: 3 died in a row without finishing a unit \(.*then resumes$"
    ) as why:
        execute(folder, units(*["die"] * 6), retries=0)
    assert "\n" not in str(why.value)


def test_a_fault_of_the_whole_sweep_ends_it_at_once(folder: Path) -> None:
    with pytest.raises(SweepStopped, match="told to stop"):
        execute(folder, units("do", "stop", *["do"] * 30))
    assert len(ran(folder)) < 12


def test_a_worker_that_refuses_stops_the_sweep_with_its_reason(folder: Path) -> None:
    (folder / "refuse").write_text("the folder is not shared")
    with pytest.raises(SweepStopped, match=r"^the folder is not shared$"):
        execute(folder, units("do"))
    assert not (folder / "ran").exists()


def test_workers_that_die_at_their_start_stop_the_sweep(folder: Path) -> None:
    (folder / "die at start").write_text("")
    with pytest.raises(SweepStopped, match="workers: 3 died in a row"):
        execute(folder, units("do"), retries=0)


def test_workers_for_which_there_is_no_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_executor, "_PATIENCE_SECONDS", 3.0)
    options: dict[str, Any] = {"address": "local", "workers": 1, "threads": 1, "gpus": 1, "retries": 0}
    executor = RayExecutor(folder, **options)  # type: ignore[arg-type]
    with pytest.raises(SweepStopped, match="each needs 1 CPU cores and 1 GPU, the cluster has 2 CPU cores and 0 GPU"):
        list(executor.execute(units("do")))
    ray.kill(executor._hands[0].handle)


def test_everything_listens_on_loopback_alone(folder: Path) -> None:
    execute(folder, units("do"))
    me, listening = psutil.Process(), []
    for process in [me, *me.children(recursive=True)]:
        try:
            found = process.net_connections(kind="inet")
        except psutil.Error:
            continue
        listening += [(process.name(), it.laddr.ip) for it in found if it.status == psutil.CONN_LISTEN]
    assert len(listening) >= 4
    for name, address in listening:
        ip = ipaddress.ip_address(address)
        mapped = getattr(ip, "ipv4_mapped", None)
        assert (mapped or ip).is_loopback, (name, address)


def test_no_dashboard_and_no_usage_statistics(cluster: None) -> None:
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    lines = [" ".join(it.cmdline()) for it in psutil.Process().children(recursive=True)]
    assert not any("dashboard/dashboard.py" in line and "--minimal" not in line for line in lines)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_cluster_that_somebody_started(config_file: Path, tmp_path: Path) -> None:
    """By address and by `auto`, through the command line, with a token of its own; the cluster stays."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={port}"]
    more = ["--node-ip-address=127.0.0.1", "--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats"]
    # A folder of its own, in which Ray leaves its address; its sockets' names must be short.
    scratch = tempfile.mkdtemp(prefix="r", dir="/tmp")
    ours = {"RAY_TMPDIR": scratch, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"} | ours
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
            assert "24 units executed, 0 were there, 0 failed" in ended.stdout
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
