"""The driver's side of the Ray executor, with a Ray in this process whose workers end their units when it is asked."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from ray.exceptions import ActorDiedError

from compute.sweep.executors import ray_executor
from compute.sweep.executors.executor import Attempt, Done
from compute.sweep.executors.ray_executor import RayExecutor
from compute.sweep.executors.resources import Resources
from compute.sweep.executors.unit_clock import UnitClock
from store.records import Condition, Unit, content_key

WORKERS, UNITS = 100, 1000
PLAN = tuple(
    Unit(key=content_key(number), role="baseline", conditions=(Condition(prompt="a cat", seed=number, guidance=1.0),))
    for number in range(UNITS)
)


class _Ref:
    """A result; `value` is raised where it is an error."""

    def __init__(self, value: Any, ready: bool) -> None:
        self.value, self.ready = value, ready


class _Call:
    def __init__(self, actor: _Actor, value: Any, ready: bool = False) -> None:
        self._actor, self._value, self._ready = actor, value, ready

    def remote(self, *units: Unit) -> _Ref:
        """Begin a call; an actor ends its calls in their order."""
        ref = _Ref(ActorDiedError() if self._actor.dies() else self._value, self._ready)
        self._actor.calls.append((ref, *units))
        return ref


class _Actor:
    def __init__(self, ray: _Ray) -> None:
        self._ray = ray
        self.calls: list[tuple[Any, ...]] = []
        self.start = _Call(self, None, ready=True)
        self.run = _Call(self, Attempt(receipt=object()))  # type: ignore[arg-type]

    def dies(self) -> bool:
        return self.calls != [] and self._ray.random.random() < self._ray.deaths


class _Ray:
    """As much of Ray's library as the executor calls. Between two waits a share of the running units ends."""

    def __init__(self, share: float, deaths: float) -> None:
        self.random, self.share, self.deaths = random.Random(0), share, deaths
        self.looks = 0

    def remote(self, _: type) -> Any:
        return self

    def options(self, **_: Any) -> Any:
        ray = self

        class _Class:
            @staticmethod
            def remote(*_: Any) -> _Actor:
                return _Actor(ray)

        return _Class

    def wait(self, refs: list[_Ref], *, num_returns: int, timeout: float) -> tuple[list[_Ref], list[_Ref]]:
        self.looks += len(refs)
        if timeout:
            for ref in self.random.sample(refs, max(1, int(self.share * len(refs)))):
                ref.ready = True
        ready = [ref for ref in refs if ref.ready][:num_returns]
        return ready, [ref for ref in refs if ref not in ready]

    def get(self, ref: _Ref) -> Any:
        assert ref.ready
        if isinstance(ref.value, Exception):
            raise ref.value
        return ref.value

    def kill(self, actor: _Actor) -> None:
        """Nothing of it is left."""


class _Session:
    def check(self, grace: float = 0.0) -> None:
        """All of Ray lives."""

    def close(self) -> None:
        """Release nothing."""


def outcomes(monkeypatch: pytest.MonkeyPatch, ray: _Ray) -> list[Any]:
    monkeypatch.setattr(ray_executor, "ray", ray)
    monkeypatch.setattr("compute.sweep.executors.ray_session.RaySession.connect", lambda *_: _Session())
    resources = Resources(workers=WORKERS, threads=1, gpus=0)
    executor = RayExecutor(None, resources, address="local", retries=50, clock=UnitClock(None))  # type: ignore[arg-type]
    return [*executor.execute(PLAN[:10]), *executor.execute(PLAN[10:])]


@pytest.mark.parametrize("deaths", [0.0, 0.2])
def test_each_unit_ends_once(monkeypatch: pytest.MonkeyPatch, deaths: float) -> None:
    ended = outcomes(monkeypatch, _Ray(share=0.3, deaths=deaths))
    assert all(isinstance(outcome, Done) for outcome in ended)
    assert Counter(outcome.unit.key for outcome in ended) == Counter(unit.key for unit in PLAN)


def test_a_busy_driver_looks_at_few_workers_a_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where half of the workers have ended a unit when it looks, it looks at a few for each unit, not at all."""
    ray = _Ray(share=0.5, deaths=0.0)
    outcomes(monkeypatch, ray)
    assert ray.looks / UNITS < 8
