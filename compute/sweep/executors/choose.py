"""Which executor runs at an address."""

from __future__ import annotations

from compute.sweep.executors.executor import Executor
from compute.sweep.executors.resources import Resources
from compute.sweep.executors.serial import SerialExecutor
from compute.sweep.prepare import Prepared
from compute.sweep.worker.worker_spec import WorkerSpec


def executor_at(address: str, spec: WorkerSpec, resources: Resources, prepared: Prepared) -> Executor:
    """Start the executor of an address: `serial`, `local`, `auto` or a Ray cluster's HOST:PORT. Raises SweepStopped."""
    retries = prepared.config.retries
    if address == "serial":
        return SerialExecutor(spec, retries=retries, model=prepared.model, runs=prepared.plan.runs)
    from compute.sweep.executors.ray_executor import RayExecutor  # Ray takes a second to import

    return RayExecutor(spec, resources, address=address, retries=retries)
