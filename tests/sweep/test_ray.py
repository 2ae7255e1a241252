"""The Ray executor's scheduling, with actors that need no model, and where Ray listens."""

from __future__ import annotations

import ipaddress
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray

from compute.sweep.executors import ray_executor
from compute.sweep.executors.executor import Done, Failed, Outcome, Slow, SweepStopped
from compute.sweep.executors.ray_executor import RayExecutor
from compute.sweep.executors.ray_session import RaySession
from compute.sweep.executors.resources import Resources
from compute.sweep.executors.unit_clock import UnitClock
from store.records import Condition, Unit

WORKERS = 2


def actor_class() -> type:
    """An actor that does what the prompt says. Made in a function, so that Ray sends it by value."""

    class PromptedActor:
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
            import time
            from types import SimpleNamespace

            command = unit.conditions[0].prompt.split()[0]
            with (self.folder / "ran").open("a") as file:
                file.write(unit.conditions[0].prompt + "\n")
            if command == "hang":
                time.sleep(600)
            if command == "die":
                os._exit(1)
            receipt = unit.key if command == "do" else None
            return SimpleNamespace(receipt=receipt, reason=f"told to {command}", details="", fatal=command == "stop")

    return PromptedActor


def units(*commands: str) -> list[Unit]:
    conditions = [
        Condition(prompt=f"{command} {number}", seed=0, guidance=1) for number, command in enumerate(commands)
    ]
    return [
        Unit(key=f"{number:064x}", role="baseline", conditions=(condition,))
        for number, condition in enumerate(conditions)
    ]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RaySession]:
    """A Ray on this machine, started where HOME is empty and cannot be written."""
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o500)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        session = RaySession.connect("local", WORKERS)
        try:
            yield session
        finally:
            session.close()
    assert list(home.iterdir()) == []


@pytest.fixture
def folder(cluster: RaySession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(ray_executor, "WorkerActor", actor_class())
    monkeypatch.setattr(RaySession, "connect", lambda *_: cluster)
    return tmp_path


def executor_in(
    folder: Path, *, workers: int = WORKERS, gpus: float = 0, retries: int = 2, max_seconds: float | None = None
) -> RayExecutor:
    resources = Resources(workers=workers, threads=1, gpus=gpus)
    return RayExecutor(folder, resources, address="local", retries=retries, clock=UnitClock(max_seconds))  # type: ignore[arg-type]


def execute(folder: Path, to_do: Sequence[Unit], **options: Any) -> list[Outcome | Slow]:
    executor = executor_in(folder, **options)
    try:
        return list(executor.execute(to_do))
    finally:
        kill_actors(executor)


def kill_actors(executor: RayExecutor) -> None:
    for handle in executor._handles:
        ray.kill(handle.actor)


def prompt_of(outcome: Outcome | Slow) -> str:
    return outcome.unit.conditions[0].prompt


def runs_by_prompt(folder: Path) -> Counter[str]:
    return Counter((folder / "ran").read_text().splitlines())


def test_every_unit_has_one_outcome(folder: Path) -> None:
    to_do = units(*["do"] * 25)
    outcomes = execute(folder, to_do)
    assert sorted(outcome.unit.key for outcome in outcomes) == [unit.key for unit in to_do]
    assert all(isinstance(outcome, Done) and outcome.receipt == outcome.unit.key for outcome in outcomes)
    assert set(runs_by_prompt(folder).values()) == {1}


def test_no_units_have_no_outcome(folder: Path) -> None:
    assert execute(folder, []) == []


def test_a_failing_unit_is_retried_and_given_up(folder: Path) -> None:
    outcomes = execute(folder, units("do", "fail", "do", "fail", "do"))
    failed = {prompt_of(outcome): outcome for outcome in outcomes if isinstance(outcome, Failed)}
    assert failed.keys() == {"fail 1", "fail 3"} and len(outcomes) == 5
    assert all((outcome.attempts, outcome.reason) == (3, "told to fail") for outcome in failed.values())
    assert runs_by_prompt(folder) == {"do 0": 1, "fail 1": 3, "do 2": 1, "fail 3": 3, "do 4": 1}


def test_a_unit_that_kills_its_worker_is_given_up_and_no_other_is_lost(folder: Path) -> None:
    outcomes = execute(folder, units("do", "die", *["do"] * 8))
    (failed,) = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    assert prompt_of(failed) == "die 1"
    assert (failed.attempts, failed.reason) == (3, "the worker died while it ran this unit")
    assert len({outcome.unit.key for outcome in outcomes}) == len(outcomes) == 10
    runs = runs_by_prompt(folder)
    assert set(runs) == {"die 1", *(f"do {i}" for i in (0, *range(2, 10)))}
    assert runs["die 1"] >= 3  # one more where the worker died before it could return the unit before


def test_a_worker_that_hangs_is_noticed_and_replaced(folder: Path) -> None:
    """Its unit is tried again and given up; no other is lost, not even the one that waited for it."""
    outcomes = execute(folder, units("do", "hang", *["do"] * 8), retries=1, max_seconds=8.0)
    slow = [outcome for outcome in outcomes if isinstance(outcome, Slow)]
    assert "hang 1" in {prompt_of(outcome) for outcome in slow} and all(2.0 < outcome.seconds < 8.5 for outcome in slow)
    (failed,) = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    assert (prompt_of(failed), failed.attempts) == ("hang 1", 2)
    assert failed.reason == "the worker was replaced: it had not ended this unit after 8 s"
    assert sorted(prompt_of(outcome) for outcome in outcomes if isinstance(outcome, Done)) == [
        f"do {number}" for number in (0, *range(2, 10))
    ]


def test_units_that_kill_every_worker_stop_the_sweep(folder: Path) -> None:
    with pytest.raises(
        SweepStopped, match=r"^workers: 3 died in a row without finishing a unit \(.*then resumes$"
    ) as error:
        execute(folder, units(*["die"] * 6), retries=0)
    assert "\n" not in str(error.value)


def test_a_fatal_attempt_stops_the_sweep_at_once(folder: Path) -> None:
    with pytest.raises(SweepStopped, match="told to stop"):
        execute(folder, units("do", "stop", *["do"] * 30))
    assert len(runs_by_prompt(folder)) < 12


def test_a_worker_that_refuses_to_start_stops_the_sweep_with_its_reason(folder: Path) -> None:
    (folder / "refuse").write_text("the folder is not shared")
    with pytest.raises(SweepStopped, match=r"^the folder is not shared$"):
        execute(folder, units("do"))
    assert not (folder / "ran").exists()


def test_workers_that_die_at_their_start_stop_the_sweep(folder: Path) -> None:
    (folder / "die at start").write_text("")
    with pytest.raises(SweepStopped, match="workers: 3 died in a row"):
        execute(folder, units("do"), retries=0)


def test_workers_that_do_not_fit_on_the_cluster(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_executor, "_START_TIMEOUT_SECONDS", 3.0)
    executor = executor_in(folder, workers=1, gpus=1, retries=0)
    with pytest.raises(SweepStopped, match="each needs 1 CPU cores and 1 GPU, the cluster has 2 CPU cores and 0 GPU"):
        list(executor.execute(units("do")))
    kill_actors(executor)


def test_every_process_listens_on_loopback_alone(folder: Path) -> None:
    execute(folder, units("do"))
    this, listening = psutil.Process(), []
    for process in [this, *this.children(recursive=True)]:
        try:
            connections = process.net_connections(kind="inet")
        except psutil.Error:
            continue
        listening += [
            (process.name(), connection.laddr.ip)
            for connection in connections
            if connection.status == psutil.CONN_LISTEN
        ]
    assert len(listening) >= 4
    for name, address in listening:
        ip = ipaddress.ip_address(address)
        mapped = getattr(ip, "ipv4_mapped", None)
        assert (mapped or ip).is_loopback, (name, address)


def test_no_dashboard_and_no_usage_statistics(cluster: RaySession) -> None:
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    lines = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # a process that has just ended
            lines.append(" ".join(process.cmdline()))
    assert lines and not any("dashboard/dashboard.py" in line and "--minimal" not in line for line in lines)
