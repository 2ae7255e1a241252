"""The interface of an executor, and the outcomes of units."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from compute.sweep.worker.worker import Worker
from store.errors import SkipscopeError, StoreFull
from store.index.receipt import ShardReceipt
from store.records import Unit

ON_THIS_MACHINE = ("local", "serial")
"""The addresses whose workers run on the driver's machine."""


class SweepStopped(SkipscopeError):
    """The sweep cannot continue: no disk space, no worker that starts, workers that see another folder."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """A unit whose shard is written."""

    unit: Unit
    receipt: ShardReceipt


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A unit that failed at each of its `attempts`; `reason` is one line, `details` a traceback."""

    unit: Unit
    reason: str
    attempts: int
    details: str = ""


@dataclass(frozen=True, kw_only=True)
class Slow:
    """A unit that runs for `seconds` and has not ended; at `limit` its worker is replaced, and the unit tried again."""

    unit: Unit
    seconds: float
    limit: float


Outcome = Done | Failed


class Executor(Protocol):
    """Executes units."""

    def execute(self, units: Sequence[Unit]) -> Iterator[Outcome | Slow]:
        """Yield one outcome for each unit, in any order. Raises SweepStopped if the sweep cannot continue.

        A unit that takes much longer than others is also reported as Slow, once an attempt.
        """

    def close(self) -> None:
        """Release workers and connections."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The result of one attempt at a unit: a receipt, or the reason why there is none. `fatal` stops the sweep."""

    receipt: ShardReceipt | None = None
    reason: str = ""
    details: str = ""
    fatal: bool = False


def attempt(worker: Worker, unit: Unit) -> Attempt:
    """Execute a unit once. Exceptions become the attempt's reason, so that one unit cannot end a sweep."""
    try:
        return Attempt(receipt=worker.run(unit))
    except StoreFull as error:
        return Attempt(reason=str(error), fatal=True)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:500]
        return Attempt(reason=reason, details=traceback.format_exc()[-8000:])
