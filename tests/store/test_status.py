"""The status of a sweep: counts, rate, time left, failures, evaluations."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store.care.status import evaluation_counts, sweep_status
from store.shard.payload import UnitPayload
from store.sweep_reader import SweepReader
from store.sweep_store import SweepStore

Payloads = Callable[..., UnitPayload]


def test_a_finished_sweep_has_no_rate(filled: SweepStore) -> None:
    status = sweep_status(filled)
    assert (status.path, status.driver.state, status.counts) == (str(filled.root), "stopped", filled.status_counts())
    assert (status.rate, status.seconds_left, status.failures) == (None, None, ())


def test_the_rate_counts_what_this_driver_wrote(store: SweepStore, payload: Payloads) -> None:
    old, *new = store.header.plan[:3]
    store.write(old, payload(old))
    os.utime(store.shard_path(old.key), (1, 1))
    with store.drive("a test") as lease:
        assert sweep_status(store).rate is None
        since = store.driver().since
        assert since is not None and not lease.lost
        for number, unit in enumerate(new, start=1):
            store.write(unit, payload(unit))
            os.utime(store.shard_path(unit.key), (since + 2 * number, since + 2 * number))
        status = sweep_status(store)
    assert status.rate == pytest.approx(0.5) and status.seconds_left == pytest.approx(status.counts.left / 0.5)


def test_a_shard_that_vanishes_counts_as_written_now(
    store: SweepStore, payload: Payloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = store.header.plan[0]
    real = store.shards

    def with_vanished_shard() -> Iterator[tuple[str, Path]]:
        yield from real()
        yield unit.key, store.root / "units" / "gone.h5"

    with store.drive("a test"):
        store.write(unit, payload(unit))
        since = store.driver().since
        assert since is not None
        os.utime(store.shard_path(unit.key), (since + 1, since + 1))
        monkeypatch.setattr(store, "shards", with_vanished_shard)
        monkeypatch.setattr("store.care.status.time.time", lambda: since + 4)
        assert sweep_status(store).rate == pytest.approx(2 / 4)


def test_failures_are_in_plan_order(store: SweepStore) -> None:
    for unit in reversed(store.header.plan):
        store.record_failure(unit.key, f"no {unit.role}")
    failures = sweep_status(store).failures
    assert [failure.key for failure in failures] == [unit.key for unit in store.header.plan]
    assert (failures[0].description, failures[0].reason) == ("baseline", "no baseline")
    assert failures[2].description == "bypass down_blocks.0.resnets.0 in steps 1-2"


def test_evaluations_with_and_without_stored_states(filled: SweepStore) -> None:
    """A baseline of 4 steps and four units of 3 steps that start at step 1, with two conditions each."""
    counts = evaluation_counts(SweepReader(filled.root).table())
    assert (counts.done, counts.from_step_0) == (2 * (4 + 4 * 3), 2 * 5 * 4)
