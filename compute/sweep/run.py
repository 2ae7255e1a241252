"""Runs the units that a store plans and lacks, and records their outcomes."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from compute.sweep.executors.executor import Done, Executor, Failed, Outcome, Slow, SweepStopped
from store.errors import ShardDamaged
from store.records import Unit
from store.sweep_store import SweepStore


class Watcher(Protocol):
    """Receives the progress of a sweep."""

    def ended(self, outcome: Outcome) -> None:
        """A unit is finished or has failed."""

    def slow(self, slow: Slow) -> None:
        """A unit has been running for much longer than others took."""

    def discarded(self, unit: Unit, reason: str) -> None:
        """A damaged shard was removed; its unit will be executed again."""


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """How many units were executed by this run, how many were finished before it, and how many failed."""

    executed: int
    resumed: int
    failed: int


def run_sweep(store: SweepStore, make_executor: Callable[[], Executor], watcher: Watcher) -> SweepResult:
    """Execute the units that the store plans and lacks, among them those that failed in an earlier run.

    Baselines are executed first, since ablated runs start from their stored states; the units of a baseline that fails
    fail with it. A damaged shard is discarded and its unit executed again: every shard that the store's lists show to
    be damaged, and every baseline that a missing unit starts from. Raises DriverRunning where another process drives
    the store, SweepStopped where the sweep cannot continue.
    """
    with store.drive(_user_name()) as lease:
        for unit, reason in _damaged(store):
            store.discard(unit.key)
            watcher.discarded(unit, reason)
        plan, present = store.header.plan, store.present()
        missing = [unit for unit in plan if unit.key not in present]
        executed = failed = 0
        if missing:
            with closing(make_executor()) as executor:
                for outcome in _outcomes(executor, missing, present):
                    if lease.lost:
                        raise SweepStopped(f"{store.root}: another driver took over this store; this one stops")
                    if isinstance(outcome, Slow):
                        watcher.slow(outcome)
                        continue
                    _record(store, outcome)
                    watcher.ended(outcome)
                    executed += isinstance(outcome, Done)
                    failed += isinstance(outcome, Failed)
        if failed:
            lease.stop(f"finished, {failed} units failed")
        return SweepResult(executed=executed, resumed=len(plan) - len(missing), failed=failed)


def _damaged(store: SweepStore) -> Iterator[tuple[Unit, str]]:
    """Yield the units whose shards prevent resuming, and what is wrong with them.

    Of an ablation only what the store's lists show is checked, since nothing is computed from it; `verify` reads all.
    """
    present = store.present()
    needed = {unit.baseline for unit in store.header.plan if unit.key not in present}
    unreadable = {Path(name).stem for name in store.last_rebuild.unreadable}
    for unit in store.header.plan:
        if unit.key in present and (unit.key in needed or unit.key in unreadable):
            try:
                store.receipt(unit.key)
            except ShardDamaged as error:
                yield unit, str(error).partition(";")[0]


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        return f"user {os.getuid()}"


def _outcomes(executor: Executor, missing: Sequence[Unit], present: set[str]) -> Iterator[Outcome | Slow]:
    finished = set(present)
    for outcome in executor.execute([unit for unit in missing if unit.baseline is None]):
        if isinstance(outcome, Done):
            finished.add(outcome.unit.key)
        yield outcome
    others = [unit for unit in missing if unit.baseline is not None]
    for unit in others:
        if unit.baseline not in finished:
            yield Failed(unit=unit, reason="its baseline failed", attempts=1)
    yield from executor.execute([unit for unit in others if unit.baseline in finished])


def _record(store: SweepStore, outcome: Outcome) -> None:
    if isinstance(outcome, Done):
        store.record(outcome.receipt)
    else:
        store.record_failure(outcome.unit.key, outcome.reason, attempts=outcome.attempts, details=outcome.details)
