"""A sweep from its plan to its store: what is missing is executed, what comes back is recorded."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from compute.sweep.executors.executor import Done, Executor, Failed, Outcome, SweepStopped
from store.errors import ShardDamaged
from store.records import Unit
from store.sweep_store import SweepStore


class Watcher(Protocol):
    """Sees a sweep's progress."""

    def ended(self, outcome: Outcome) -> None: ...

    def discarded(self, unit: Unit, reason: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """How a run of a sweep ended: units executed now, there before, and failed."""

    executed: int
    resumed: int
    failed: int


def run_sweep(store: SweepStore, make_executor: Callable[[], Executor], watcher: Watcher) -> SweepResult:
    """Execute what the store plans and lacks. Failed units of an earlier run are tried again.

    Ablations start from their baseline's stored states, so baselines are executed first; where a baseline fails, the
    units that need it fail with it. Damaged shards that the plan names are discarded and their units executed again:
    those that are cheaply seen to be damaged, and every baseline that a missing unit would start from.
    """
    with store.drive(_user()) as lease:
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
                        raise SweepStopped(f"{store.root}: another driver took this store over; this one stops")
                    _record(store, outcome)
                    watcher.ended(outcome)
                    executed += isinstance(outcome, Done)
                    failed += isinstance(outcome, Failed)
        if failed:
            lease.stop(f"finished, {failed} units failed")
        return SweepResult(executed=executed, resumed=len(plan) - len(missing), failed=failed)


def _damaged(store: SweepStore) -> Iterator[tuple[Unit, str]]:
    """Shards in the way of resuming, and what is wrong with them.

    An ablation's shard is read in full only by `verify`: nothing is computed from it.
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


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an identity without a name, as containers have
        return f"user {os.getuid()}"


def _outcomes(executor: Executor, missing: Sequence[Unit], present: set[str]) -> Iterator[Outcome]:
    there = set(present)
    for outcome in executor.execute([unit for unit in missing if unit.baseline is None]):
        if isinstance(outcome, Done):
            there.add(outcome.unit.key)
        yield outcome
    others = [unit for unit in missing if unit.baseline is not None]
    for unit in others:
        if unit.baseline not in there:
            yield Failed(unit=unit, reason="its baseline failed", attempts=1)
    yield from executor.execute([unit for unit in others if unit.baseline in there])


def _record(store: SweepStore, outcome: Outcome) -> None:
    if isinstance(outcome, Done):
        store.record(outcome.receipt)
    else:
        store.record_failure(outcome.unit.key, outcome.reason, attempts=outcome.attempts, details=outcome.details)
