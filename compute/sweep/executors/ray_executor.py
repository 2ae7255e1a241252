"""Executes units on the actors of a Ray cluster, or of a Ray that is started on this machine for the sweep.

Nothing durable lives in Ray: when an actor dies, the units assigned to it go to another. Ray Core neither restarts an
actor that fails to start nor reports which of its tasks killed it, so this module counts both.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from compute.sweep.executors.executor import Attempt, Done, Failed, Outcome, Slow, SweepStopped, attempt
from compute.sweep.executors.ray_session import RaySession
from compute.sweep.executors.resources import Resources
from compute.sweep.executors.unit_clock import ActorHandle, UnitClock
from compute.sweep.worker.worker import Worker, WorkerRefused, this_worker
from compute.sweep.worker.worker_spec import WorkerSpec
from store.errors import SkipscopeError
from store.records import Unit

_UNITS_PER_ACTOR = 2  # one that runs and one that waits, so that the actor is never idle
_LETHAL_UNITS = 3  # the sweep stops after so many units in a row that kill every worker that tries them
_SECONDS_BETWEEN_CHECKS = 1.0  # of Ray's own processes
_START_TIMEOUT_SECONDS = 600.0  # of the first worker: a cluster that scales itself needs minutes for a machine


class WorkerActor:
    """A worker in a process of its own. Nothing is loaded by the constructor, so that `start` can return its error."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec
        self._worker: Worker | None = None

    def start(self) -> str | None:
        """Load the model. Returns the error's text where that is impossible."""
        try:
            self._worker = Worker(self._spec)
        except WorkerRefused as error:
            return str(error)
        except SkipscopeError as error:
            return f"{this_worker()}: {error}"
        return None

    def run(self, unit: Unit) -> Attempt:
        """Execute a unit once."""
        assert self._worker is not None, "start() comes first"
        return attempt(self._worker, unit)


class RayExecutor:
    """Executes units on one actor for each worker of `resources`. Close it after use."""

    def __init__(self, spec: WorkerSpec, resources: Resources, *, address: str, retries: int, clock: UnitClock) -> None:
        self._spec, self._resources, self._retries, self._clock = spec, resources, retries, clock
        self._deaths_in_a_row = 0
        self._attempts: dict[str, int] = {}
        self._waiting: deque[Unit] = deque()
        self._session = RaySession.connect(address, resources.workers * resources.threads)
        options = {"num_cpus": resources.threads, "num_gpus": resources.gpus, "max_restarts": 0, "max_task_retries": 0}
        environment = {"OMP_NUM_THREADS": str(resources.threads)}
        self._actor_class = ray.remote(WorkerActor).options(runtime_env={"env_vars": environment}, **options)
        self._handles: list[ActorHandle] = []
        self._with_room: dict[ActorHandle, None] = {}  # started, and may take another unit
        self._ready: deque[ActorHandle] = deque()  # have a result that is not collected yet
        self._slow: deque[Slow] = deque()  # units to be reported
        try:
            for _ in range(resources.workers):
                self._start_actor()
        except BaseException:
            self.close()
            raise

    def execute(self, units: Sequence[Unit]) -> Iterator[Outcome | Slow]:
        """Yield the outcomes in the order in which units end."""
        self._waiting = deque(units)
        while True:
            self._assign()
            if not self._waiting and not any(handle.assigned for handle in self._handles):
                return
            handle = self._next_ready()
            while self._slow:
                yield self._slow.popleft()
            if handle is None:
                continue
            if handle.start_ref is not None:
                self._finish_start(handle)
                continue
            if (outcome := self._collect(handle)) is not None:
                yield outcome

    def close(self) -> None:
        """End the actors, and Ray if it was started for this sweep."""
        self._session.close()

    def _assign(self) -> None:
        """Assign waiting units evenly to the actors that have room."""
        for depth in range(1, _UNITS_PER_ACTOR + 1):
            for handle in self._with_room:
                if not self._waiting:
                    return
                if len(handle.assigned) < depth:
                    unit = self._waiting.popleft()
                    if not handle.assigned:
                        handle.begin()
                    handle.assigned.append((handle.actor.run.remote(unit), unit))
        self._with_room.clear()

    def _next_ready(self) -> ActorHandle | None:
        """Return an actor that started, ended a unit, or died; None where a unit is slow and nobody is ready.

        Ray looks at every actor, so one call finds them all.
        """
        if not self._ready:
            self._ready.extend(self._wait())
        return self._ready.popleft() if self._ready else None

    def _wait(self) -> Sequence[ActorHandle]:
        """Wait until at least one actor is ready or a unit is slow. Raises SweepStopped where none starts in time."""
        handles = {ref: handle for handle in self._handles if (ref := handle.next_ref) is not None}
        any_started = any(handle.start_ref is None for handle in self._handles)
        deadline = math.inf if any_started else time.monotonic() + _START_TIMEOUT_SECONDS
        ready: list[Any] = []
        while not ready and time.monotonic() < deadline:
            self._session.check()
            self._slow.extend(self._clock.look(self._handles))
            if self._slow or any(handle.is_stuck for handle in self._handles):
                break
            ready, _ = ray.wait(list(handles), num_returns=1, timeout=_SECONDS_BETWEEN_CHECKS)
        else:
            if not ready:
                self._session.check()
                raise SweepStopped(self._none_started())
        self._session.check()
        ready, _ = ray.wait(list(handles), num_returns=len(handles), timeout=0)
        found = [handles[ref] for ref in ready]
        for handle in found:
            handle.is_stuck = False
        return found + [handle for handle in self._handles if handle.is_stuck]

    def _none_started(self) -> str:
        available, needed = ray.cluster_resources(), f"{self._resources.threads} CPU cores"
        if self._resources.gpus:
            needed += f" and {self._resources.gpus:g} GPU"
        return (
            f"workers: none could start in {_START_TIMEOUT_SECONDS:.0f} s: each needs {needed}, the cluster has "
            f"{available.get('CPU', 0):g} CPU cores and {available.get('GPU', 0):g} GPU; lower workers or what "
            "each takes"
        )

    def _collect(self, handle: ActorHandle) -> Outcome | None:
        """Return the outcome of the unit that an actor ended or died from; None if the unit will be tried again."""
        ref, unit = handle.assigned[0]
        if handle.is_stuck:
            reason = f"the worker was replaced: it had not ended this unit after {self._clock.limit:.0f} s"
            return self._lose(handle, reason)
        try:
            result: Attempt = ray.get(ref)
        except RayError as error:
            self._session.check(grace=_SECONDS_BETWEEN_CHECKS)  # Ray's own end ends the worker a little earlier
            return self._lose(handle, "the worker died while it ran this unit", str(error))
        handle.assigned.popleft()
        self._clock.ended(handle)
        self._with_room[handle] = None
        self._deaths_in_a_row = 0
        if result.receipt is not None:
            return Done(unit=unit, receipt=result.receipt)
        if result.fatal:
            raise SweepStopped(result.reason)
        return self._retry_or_fail(unit, result.reason, result.details)

    def _lose(self, handle: ActorHandle, reason: str, details: str = "") -> Failed | None:
        """Replace an actor that will not end its unit."""
        self._count_death(details or reason)
        (_, unit), *others = handle.assigned
        self._waiting.extendleft(other for _, other in others)  # they did not run and lose no attempt
        self._replace(handle)
        return self._retry_or_fail(unit, reason, details[-8000:])

    def _retry_or_fail(self, unit: Unit, reason: str, details: str) -> Failed | None:
        """Put a unit at the end of the queue if it has retries left."""
        attempts = self._attempts[unit.key] = self._attempts.get(unit.key, 0) + 1
        if attempts > self._retries:
            return Failed(unit=unit, reason=reason, attempts=attempts, details=details)
        self._waiting.append(unit)
        return None

    def _count_death(self, details: str) -> None:
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row >= _LETHAL_UNITS * (self._retries + 1):
            reason = next((line.strip() for line in details.splitlines() if line.strip()), "without a reason")
            raise SweepStopped(
                f"workers: {self._deaths_in_a_row} died in a row without finishing a unit ({reason[:200]}); where "
                "memory is short, lower conditions_per_unit or workers; the same command then resumes"
            )

    def _start_actor(self) -> None:
        actor = self._actor_class.remote(self._spec)
        self._handles.append(ActorHandle(actor=actor, start_ref=actor.start.remote()))

    def _replace(self, handle: ActorHandle) -> None:
        with contextlib.suppress(RayError):
            ray.kill(handle.actor)  # it may only be unreachable, and would keep its cores
        self._handles.remove(handle)
        self._with_room.pop(handle, None)
        self._start_actor()

    def _finish_start(self, handle: ActorHandle) -> None:
        """Mark an actor as started, or replace it if it died. Raises SweepStopped where its start failed."""
        try:
            problem = ray.get(handle.start_ref)
        except RayTaskError as error:
            problem = f"workers: one cannot start: {str(error).strip().splitlines()[-1][:300]}"
        except RayError as error:
            self._session.check(grace=_SECONDS_BETWEEN_CHECKS)
            self._count_death(str(error))
            self._replace(handle)
            return
        if problem is not None:
            raise SweepStopped(problem)
        handle.start_ref = None
        self._with_room[handle] = None


def auto_address() -> str:
    """Return HOST:PORT of this machine's Ray cluster, which may have died. Raises SweepStopped if there was none."""
    try:
        return str(ray._private.services.canonicalize_bootstrap_address("auto"))
    except ConnectionError as error:
        reason = str(error).partition(".")[0]
        raise SweepStopped(f"--address: no Ray cluster answers at 'auto': {reason}") from None
