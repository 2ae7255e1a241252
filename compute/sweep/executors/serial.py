"""The serial executor, the reference that every other must equal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from compute.models.model import Model
from compute.sweep.executors.executor import Done, Failed, Outcome, SweepStopped, attempt
from compute.sweep.plan.runs import Runs
from compute.sweep.worker.worker import Worker
from compute.sweep.worker.worker_spec import WorkerSpec
from store.records import Unit


class SerialExecutor:
    """One worker in this process, which uses the driver's `model` and `runs` where they are given. Needs no Ray."""

    def __init__(self, spec: WorkerSpec, *, retries: int, model: Model | None = None, runs: Runs | None = None) -> None:
        self._worker = Worker(spec, model=model, runs=runs)
        self._attempts = retries + 1

    def execute(self, units: Sequence[Unit]) -> Iterator[Outcome]:
        """Yield the outcomes in the order of the units."""
        for unit in units:
            yield self._outcome(unit)

    def close(self) -> None:
        """There is nothing to release."""

    def _outcome(self, unit: Unit) -> Outcome:
        for _ in range(self._attempts):
            result = attempt(self._worker, unit)
            if result.receipt is not None:
                return Done(unit=unit, receipt=result.receipt)
            if result.fatal:
                raise SweepStopped(result.reason)
        return Failed(unit=unit, reason=result.reason, attempts=self._attempts, details=result.details)
