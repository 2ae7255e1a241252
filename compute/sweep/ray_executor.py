"""Units over the actors of a Ray cluster, or of one that is started on this machine for the sweep.

Nothing durable lives in Ray: an actor that dies costs the units in its hands, which go to another. Ray Core neither
restarts an actor whose start fails nor says which of the units it was given killed it, so both are counted here.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from compute.sweep.executor import Attempt, Done, Failed, Outcome, SweepStopped, attempt
from compute.sweep.worker import Worker, WorkerSpec
from store.errors import SkipscopeError
from store.records import Unit

_IN_FLIGHT = 2  # units an actor holds: one it runs, one that waits, so that it never idles
_LOCAL_OBJECT_STORE = 128 * 1024**2  # receipts are small, and a machine's shared memory may be, too
_DEATHS_IN_A_ROW = 5


class _Actor:
    """A worker in a process of its own. Made without loading anything: what fails in `start` is told, not raised."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec
        self._worker: Worker | None = None

    def start(self) -> str | None:
        """Load the model; None, or why that is impossible."""
        try:
            self._worker = Worker(self._spec)
        except SkipscopeError as error:
            return str(error)
        return None

    def run(self, unit: Unit) -> Attempt:
        """One try at a unit."""
        assert self._worker is not None, "start() comes first"
        return attempt(self._worker, unit)


@dataclass(kw_only=True)
class _Hand:
    """The driver's side of an actor: its handle and the units it was given, the running one first."""

    handle: Any
    given: deque[tuple[Any, Unit]] = field(default_factory=deque)


class RayExecutor:
    """`workers` actors with `threads` CPU cores and `gpus` each. Use it as a context, or call `close`."""

    def __init__(
        self, spec: WorkerSpec, *, address: str, workers: int, threads: int, gpus: float, retries: int
    ) -> None:
        self._spec, self._retries, self._deaths = spec, retries, 0
        self._attempts: dict[str, int] = {}
        _connect(address, cores=workers * threads)
        options = {"num_cpus": threads, "num_gpus": gpus, "max_restarts": 0, "max_task_retries": 0}
        environment = {"OMP_NUM_THREADS": str(threads)}
        self._actor_class = ray.remote(_Actor).options(runtime_env={"env_vars": environment}, **options)
        try:
            self._hands = [self._hire() for _ in range(workers)]
            for hand in list(self._hands):
                self._start(hand)
        except BaseException:
            self.close()
            raise

    def execute(self, units: Sequence[Unit]) -> Iterator[Outcome]:
        """The units as actors become free; outcomes in the order they come."""
        waiting = deque(units)
        while True:
            self._give(waiting)
            refs = {ref: hand for hand in self._hands for ref, _ in list(hand.given)[:1]}
            if not refs:
                return
            ready, _ = ray.wait(list(refs), num_returns=1)
            hand = refs[ready[0]]
            unit = hand.given[0][1]
            outcome: Outcome | None
            try:
                came: Attempt = ray.get(ready[0])
            except RayActorError:
                outcome = self._died(hand, waiting)
            else:
                hand.given.popleft()
                self._deaths = 0
                outcome = self._outcome(unit, came, waiting)
            if outcome is not None:
                yield outcome

    def close(self) -> None:
        """Ends the actors, and Ray where it was started for this sweep."""
        ray.shutdown()

    def _give(self, waiting: deque[Unit]) -> None:
        """Fill every actor's hands, evenly."""
        for depth in range(1, _IN_FLIGHT + 1):
            for hand in self._hands:
                if waiting and len(hand.given) < depth:
                    unit = waiting.popleft()
                    hand.given.append((hand.handle.run.remote(unit), unit))

    def _outcome(self, unit: Unit, came: Attempt, waiting: deque[Unit]) -> Outcome | None:
        if came.receipt is not None:
            return Done(unit=unit, receipt=came.receipt)
        if came.fatal:
            raise SweepStopped(came.reason)
        return self._again(unit, came.reason, came.details, waiting)

    def _again(self, unit: Unit, reason: str, details: str, waiting: deque[Unit]) -> Failed | None:
        """Put a unit back while it has retries left. The last to be tried again waits longest."""
        tries = self._attempts[unit.key] = self._attempts.get(unit.key, 0) + 1
        if tries > self._retries:
            return Failed(unit=unit, reason=reason, attempts=tries, details=details)
        waiting.append(unit)
        return None

    def _died(self, hand: _Hand, waiting: deque[Unit]) -> Failed | None:
        """Replace a dead actor. The unit it ran is suspected; the one that waited goes back without blame."""
        self._deaths += 1
        if self._deaths > _DEATHS_IN_A_ROW:
            raise SweepStopped(
                f"workers: {self._deaths} died in a row without finishing a unit (out of memory?); "
                "lower conditions_per_unit or workers, then run the same command again: it resumes"
            )
        suspect, *blameless = (unit for _, unit in hand.given)
        waiting.extendleft(blameless)
        self._hands.remove(hand)
        replacement = self._hire()
        self._hands.append(replacement)
        self._start(replacement)
        return self._again(suspect, "the worker died while it ran this unit", "", waiting)

    def _hire(self) -> _Hand:
        return _Hand(handle=self._actor_class.remote(self._spec))

    def _start(self, hand: _Hand) -> None:
        try:
            refusal = ray.get(hand.handle.start.remote())
        except RayError as error:
            refusal = f"workers: one cannot start: {str(error).strip().splitlines()[-1][:300]}"
        if refusal is not None:
            raise SweepStopped(refusal)


def _connect(address: str, cores: int) -> None:
    """To a running cluster, shipping our code; or to one made here, on the loopback interface, for this sweep alone."""
    if address != "local":
        packages = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "store")]
        where = None if address == "auto" and "RAY_ADDRESS" not in os.environ else address
        try:
            ray.init(
                address=where or "auto",
                runtime_env={"py_modules": packages},
                logging_level="ERROR",
                log_to_driver=False,
            )
        except (ConnectionError, RayError, ValueError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise SweepStopped(f"--address: no Ray cluster answers at {address!r}: {reason}") from error
        return
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    ray.init(
        address="local",
        num_cpus=cores,
        include_dashboard=False,
        object_store_memory=_LOCAL_OBJECT_STORE,
        logging_level="ERROR",
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
