"""How long units take, and how long one may take before its worker counts as stuck."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from compute.sweep.executors.executor import Slow
from store.records import Unit

_UNMEASURED_SECONDS = 6 * 3600.0  # before any unit has ended
_LEAST_SECONDS = 600.0
_TIMES_LONGEST = 20.0  # a machine that is busy, or a file system that stalls, makes a unit slow and not stuck
_NOTICED_SHARE = 0.25  # of the limit
_SECONDS_BETWEEN_LOOKS = 1.0
_LONGEST_GAP = 10.0  # between two looks; in a longer one the driver was suspended, and perhaps its workers with it


@dataclass(kw_only=True, eq=False)
class ActorHandle:
    """The driver's side of an actor: Ray's handle, and the units assigned to it, the running one first.

    `start_ref` is the result of the actor's start until that has ended; only then units are assigned. `began` is when
    the running unit began, by time.monotonic(); `is_slow` says that it was reported, `is_stuck` that it is given up.
    """

    actor: Any
    start_ref: Any
    assigned: deque[tuple[Any, Unit]] = field(default_factory=deque)
    began: float = 0.0
    is_slow: bool = False
    is_stuck: bool = False

    @property
    def next_ref(self) -> Any | None:
        """The next result that the actor will give; None if it has nothing to do."""
        if self.start_ref is not None:
            return self.start_ref
        return self.assigned[0][0] if self.assigned else None

    def begin(self) -> None:
        """Note that a unit begins."""
        self.began, self.is_slow = time.monotonic(), False


class UnitClock:
    """Finds units that take too long: more than `max_seconds`, or 20 times the longest so far and ten minutes."""

    def __init__(self, max_seconds: float | None) -> None:
        self._max_seconds = max_seconds
        self._longest: float | None = None
        self._looked_at = time.monotonic()

    @property
    def limit(self) -> float:
        """The seconds after which a worker that has not ended its unit is replaced."""
        if self._max_seconds is not None:
            return self._max_seconds
        return _UNMEASURED_SECONDS if self._longest is None else max(_LEAST_SECONDS, _TIMES_LONGEST * self._longest)

    def ended(self, handle: ActorHandle) -> None:
        """Note that an actor has ended its unit; if another is assigned, that begins."""
        self._longest = max(time.monotonic() - handle.began, self._longest or 0.0)
        handle.begin()

    def look(self, handles: Iterable[ActorHandle]) -> list[Slow]:
        """Mark the actors that are stuck; return the units that have become slow since the last look."""
        now = time.monotonic()
        if now - self._looked_at < _SECONDS_BETWEEN_LOOKS:
            return []
        before, slow = self._looked_at, []
        self._looked_at = now
        for handle in handles:
            if handle.start_ref is not None or not handle.assigned:
                continue
            handle.began += max(0.0, now - max(before, handle.began) - _LONGEST_GAP)
            seconds = now - handle.began
            handle.is_stuck = seconds > self.limit
            if seconds > _NOTICED_SHARE * self.limit and not handle.is_slow:
                handle.is_slow = True
                slow.append(Slow(unit=handle.assigned[0][1], seconds=seconds, limit=self.limit))
        return slow
