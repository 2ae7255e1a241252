"""What an executor is, and the serial one: the reference that every other must equal."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from compute.sweep.worker import Worker, WorkerSpec
from store.errors import SkipscopeError, StoreFull
from store.index.receipt import ShardReceipt
from store.records import Unit


class SweepStopped(SkipscopeError):
    """The whole sweep cannot go on: no space, no worker that lives, workers that see another folder."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """A unit whose shard is written."""

    unit: Unit
    receipt: ShardReceipt


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A unit that was given up after `attempts`."""

    unit: Unit
    reason: str
    attempts: int
    details: str = ""


Outcome = Done | Failed


class Executor(Protocol):
    """Executes units in any order and says of each how it ended. Raises SweepStopped when it cannot go on."""

    def execute(self, units: Sequence[Unit]) -> Iterator[Outcome]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What one try at a unit came to: a receipt, or why not. `fatal` stops the sweep."""

    receipt: ShardReceipt | None = None
    reason: str = ""
    details: str = ""
    fatal: bool = False


def attempt(worker: Worker, unit: Unit) -> Attempt:
    """One try. Only what ends the process gets out of it, so that one bad unit cannot end a sweep."""
    try:
        return Attempt(receipt=worker.run(unit))
    except StoreFull as error:
        return Attempt(reason=str(error), fatal=True)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:500]
        return Attempt(reason=reason, details=traceback.format_exc()[-8000:])


class SerialExecutor:
    """One worker in this process; needs no Ray."""

    def __init__(self, spec: WorkerSpec, *, retries: int) -> None:
        self._worker = Worker(spec)
        self._retries = retries

    def execute(self, units: Sequence[Unit]) -> Iterator[Outcome]:
        """The units in their order, each tried again until `retries` are used up."""
        for unit in units:
            yield self._outcome(unit)

    def _outcome(self, unit: Unit) -> Outcome:
        tries = self._retries + 1
        for _ in range(tries):
            came = attempt(self._worker, unit)
            if came.receipt is not None:
                return Done(unit=unit, receipt=came.receipt)
            if came.fatal:
                raise SweepStopped(came.reason)
        return Failed(unit=unit, reason=came.reason, attempts=tries, details=came.details)

    def close(self) -> None:
        """Nothing to give back."""
