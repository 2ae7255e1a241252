"""Units over the actors of a Ray cluster, or of one that is started on this machine for the sweep.

Nothing durable lives in Ray: an actor that dies costs the units in its hands, which go to another. Ray Core neither
restarts an actor whose start fails nor says which of the units it was given killed it, so both are counted here.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from compute.sweep.executors.executor import Attempt, Done, Failed, Outcome, SweepStopped, attempt
from compute.sweep.worker import Worker, WorkerSpec
from store.errors import SkipscopeError
from store.records import Unit

_IN_FLIGHT = 2  # units an actor holds: one it runs, one that waits, so that it never idles
_LOCAL_OBJECT_STORE = 128 * 1024**2  # receipts are small, and a machine's shared memory may be, too
_HOPELESS_UNITS = 3  # so many units in a row that kill every worker that tries them stop the sweep
_PATIENCE_SECONDS = 600.0  # for the first worker: a cluster that scales itself needs minutes for a machine


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
    """The driver's side of an actor: its handle and the units it was given, the running one first.

    `starting` refers to its start until that came back; only then it is given units.
    """

    handle: Any
    starting: Any
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
        self._needs = f"{threads} CPU cores" + (f" and {gpus:g} GPU" if gpus else "")
        self._hands: list[_Hand] = []
        try:
            for _ in range(workers):
                self._hire()
        except BaseException:
            self.close()
            raise

    def execute(self, units: Sequence[Unit]) -> Iterator[Outcome]:
        """The units as actors become free; outcomes in the order they come."""
        waiting = deque(units)
        while True:
            self._give(waiting)
            if not waiting and not any(hand.given for hand in self._hands):
                return
            hand = self._next_ready()
            if hand.starting is not None:
                self._started(hand)
                continue
            ref, unit = hand.given[0]
            outcome: Outcome | None
            try:
                came: Attempt = ray.get(ref)
            except RayError as error:
                outcome = self._died(hand, waiting, error)
            else:
                hand.given.popleft()
                self._deaths = 0
                outcome = self._outcome(unit, came, waiting)
            if outcome is not None:
                yield outcome

    def _next_ready(self) -> _Hand:
        """An actor that started, finished a unit, or died. Raises SweepStopped where none ever starts."""
        refs = {hand.starting or hand.given[0][0]: hand for hand in self._hands if hand.starting or hand.given}
        some_started = any(hand.starting is None for hand in self._hands)
        ready, _ = ray.wait(list(refs), num_returns=1, timeout=None if some_started else _PATIENCE_SECONDS)
        if not ready:
            there = ray.cluster_resources()
            raise SweepStopped(
                f"workers: none could start in {_PATIENCE_SECONDS:.0f} s: each needs {self._needs}, the cluster has "
                f"{there.get('CPU', 0):g} CPU cores and {there.get('GPU', 0):g} GPU; lower workers or what each takes"
            )
        return refs[ready[0]]

    def close(self) -> None:
        """Ends the actors, and Ray where it was started for this sweep."""
        ray.shutdown()

    def _give(self, waiting: deque[Unit]) -> None:
        """Fill every actor's hands, evenly."""
        for depth in range(1, _IN_FLIGHT + 1):
            for hand in self._hands:
                if waiting and hand.starting is None and len(hand.given) < depth:
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

    def _died(self, hand: _Hand, waiting: deque[Unit], error: RayError) -> Failed | None:
        """Replace a dead actor. The unit it ran is suspected; the one that waited goes back without blame."""
        self._count_death(error)
        suspect, *blameless = (unit for _, unit in hand.given)
        waiting.extendleft(blameless)
        self._replace(hand)
        return self._again(suspect, "the worker died while it ran this unit", str(error)[-8000:], waiting)

    def _count_death(self, error: RayError) -> None:
        self._deaths += 1
        if self._deaths >= _HOPELESS_UNITS * (self._retries + 1):
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise SweepStopped(
                f"workers: {self._deaths} died in a row without finishing a unit ({reason[:200]}); where memory is "
                "short, lower conditions_per_unit or workers; the same command then resumes"
            )

    def _hire(self) -> None:
        handle = self._actor_class.remote(self._spec)
        self._hands.append(_Hand(handle=handle, starting=handle.start.remote()))

    def _replace(self, hand: _Hand) -> None:
        with contextlib.suppress(RayError):
            ray.kill(hand.handle)  # it may only be out of reach, and would keep its cores
        self._hands.remove(hand)
        self._hire()

    def _started(self, hand: _Hand) -> None:
        """Take note that an actor can work. Raises SweepStopped with its reason where it cannot."""
        try:
            refusal = ray.get(hand.starting)
        except RayTaskError as error:
            refusal = f"workers: one cannot start: {str(error).strip().splitlines()[-1][:300]}"
        except RayError as error:
            self._count_death(error)
            self._replace(hand)
            return
        if refusal is not None:
            raise SweepStopped(refusal)
        hand.starting = None


def auto_address() -> str:
    """HOST:PORT of this machine's Ray cluster; it may have died. Raises SweepStopped where there never was one."""
    try:
        return str(ray._private.services.canonicalize_bootstrap_address("auto"))
    except ConnectionError as error:
        reason = str(error).partition(".")[0]
        raise SweepStopped(f"--address: no Ray cluster answers at 'auto': {reason}") from None


def _connect(address: str, cores: int) -> None:
    """To a running cluster, shipping our code; or to one made here, on the loopback interface, for this sweep alone."""
    if address != "local":
        packages = [str(Path(__file__).parents[2]), str(Path(__file__).parents[3] / "store")]
        environment = {"py_modules": packages}
        try:
            ray.init(address=address, runtime_env=environment, logging_level="ERROR", log_to_driver=False)
        except (ConnectionError, RayError, RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise SweepStopped(
                f"--address: no Ray cluster lets us in at {address!r}: {reason}; where it asks for a token, set "
                "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
            ) from error
        return
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options = {"include_dashboard": False, "object_store_memory": _LOCAL_OBJECT_STORE, "log_to_driver": False}
    try:
        with _loopback():
            ray.init(address="local", num_cpus=cores, logging_level="ERROR", _node_ip_address="127.0.0.1", **options)
    except Exception as error:  # Ray raises nothing more special where its processes don't come up
        reason = str(error).strip().splitlines()[0][:200]
        raise SweepStopped(f"--address: Ray cannot be started here: {reason}; --address serial needs no Ray") from error


@contextlib.contextmanager
def _loopback() -> Iterator[None]:
    """Keep Ray's ports off every other interface.

    Ray 2.60 replaces 127.0.0.1 by the machine's own address, and then listens everywhere, unless it believes to run
    where it knows no clusters, as it does on Windows and macOS.
    """
    constants = ray._private.ray_constants
    before = constants.ENABLE_RAY_CLUSTER
    constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before
