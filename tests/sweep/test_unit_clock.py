"""When a unit counts as slow, and its worker as stuck."""

from __future__ import annotations

from collections import deque

import pytest

from compute.sweep.executors import unit_clock
from compute.sweep.executors.unit_clock import ActorHandle, UnitClock
from store.records import Condition, Unit, content_key

UNIT = Unit(key=content_key(0), role="baseline", conditions=(Condition(prompt="a cat", seed=0, guidance=1.0),))


class Time:
    """A clock that is set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(unit_clock.time, "monotonic", lambda: self.now)

    def pass_by(self, seconds: float, clock: UnitClock, handle: ActorHandle, step: float = 5.0) -> list[float]:
        """Look every few seconds; return the seconds at which the unit was reported as slow."""
        end, slow = self.now + seconds, []
        while self.now < end:
            self.now = min(end, self.now + step)
            slow += [found.seconds for found in clock.look([handle])]
        return slow


def running() -> ActorHandle:
    handle = ActorHandle(actor=None, start_ref=None, assigned=deque([(None, UNIT)]))
    handle.begin()
    return handle


@pytest.mark.parametrize(("longest", "limit"), [(None, 6 * 3600.0), (0.1, 600.0), (100.0, 2000.0)])
def test_the_limit_follows_the_longest_unit(
    monkeypatch: pytest.MonkeyPatch, longest: float | None, limit: float
) -> None:
    time = Time(monkeypatch)
    clock = UnitClock(None)
    if longest is not None:
        ended = running()
        time.now += longest
        clock.ended(ended)
    handle = running()
    (slow,) = time.pass_by(limit, clock, handle)
    assert slow == pytest.approx(limit / 4, abs=5.1) and not handle.is_stuck
    time.pass_by(5.0, clock, handle)
    assert handle.is_stuck


def test_a_driver_that_was_suspended_gives_no_unit_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its workers may have been suspended with it."""
    time = Time(monkeypatch)
    clock, handle = UnitClock(60.0), running()
    time.pass_by(30.0, clock, handle)
    time.pass_by(5000.0, clock, handle, step=5000.0)
    assert not handle.is_stuck
    time.pass_by(31.0, clock, handle)
    assert handle.is_stuck
