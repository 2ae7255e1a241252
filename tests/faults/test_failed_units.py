"""Units that always fail: the others are finished, the reason is recorded, and the next run tries again."""

from __future__ import annotations

from pathlib import Path

from store.sweep_store import SweepStore
from tests.cli.fork_server import ForkServer
from tests.faults.checks import errors_of, serial_sweep
from tests.sweep.stores import assert_equal_stores

Sweep = tuple[Path, Path]
FAILING_WORKER = """
from compute.sweep.worker.worker import Worker
compute = Worker.compute
def compute_or_fail(self, unit):
    if {condition}:
        raise RuntimeError('no luck\\nwith this one')
    return compute(self, unit)
Worker.compute = compute_or_fail
"""


def test_a_unit_that_always_fails(commands: ForkServer, finished: Sweep, tmp_path: Path) -> None:
    config, uninterrupted = finished
    store = tmp_path / "store"
    condition = "'skip:conv_in' in getattr(unit.intervention, 'components', ())"
    result = serial_sweep(commands, config, store, before=FAILING_WORKER.format(condition=condition))
    assert result.status == 2
    opened = SweepStore.open(store)
    failures, counts = opened.failures(), opened.status_counts()
    expected = {u.key for u in opened.header.plan if "skip:conv_in" in getattr(u.intervention, "components", ())}
    assert failures.keys() == expected and len(expected) == 4
    assert (counts.done, counts.failed, counts.left) == (counts.planned - 4, 4, 0)
    assert all((failure.reason, failure.attempts) == ("RuntimeError: no luck", 3) for failure in failures.values())
    assert all("with this one" in failure.details for failure in failures.values())
    *failed, last = errors_of(result)
    assert len(failed) == 4
    assert all(line.startswith("failed: zero skip:conv_in in steps ") for line in failed)
    assert last == f"skipscope: 4 units failed; python -m compute status {store} lists the reasons"
    assert "no luck" in commands.run("status", store).stdout
    assert opened.driver().reason == "finished, 4 units failed"
    result = serial_sweep(commands, config, store)
    assert result.status == 0, result.stderr
    assert result.stdout.endswith(f"4 units executed, {counts.planned - 4} already done, 0 failed\n")
    assert SweepStore.open(store).failures() == {}
    assert_equal_stores(store, uninterrupted)


def test_a_baseline_that_always_fails(commands: ForkServer, finished: Sweep, tmp_path: Path) -> None:
    """The units that start from it fail with it; the other batch is finished."""
    config, uninterrupted = finished
    store = tmp_path / "store"
    condition = "unit.role == 'baseline' and len(unit.conditions) == 1"
    result = serial_sweep(commands, config, store, before=FAILING_WORKER.format(condition=condition))
    assert result.status == 2, result.stderr
    assert "Traceback" not in result.stderr
    counts = SweepStore.open(store).status_counts()
    assert counts.done == counts.failed == counts.planned // 2
    reasons = [failure.reason for failure in SweepStore.open(store).failures().values()]
    assert reasons.count("its baseline failed") == len(reasons) - 1
    assert serial_sweep(commands, config, store).status == 0
    assert_equal_stores(store, uninterrupted)
