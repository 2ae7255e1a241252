"""Addresses of executors: which one runs there, and a check before anything is loaded or written."""

from __future__ import annotations

import os
import socket

from compute.sweep.executors.executor import ON_THIS_MACHINE, Executor, SweepStopped
from compute.sweep.executors.resources import Resources
from compute.sweep.executors.serial import SerialExecutor
from compute.sweep.executors.unit_clock import UnitClock
from compute.sweep.prepare import Prepared
from compute.sweep.worker.worker_spec import WorkerSpec

_TIMEOUT_SECONDS = 5.0
_ACCEPTED = "local, serial, auto, or a Ray cluster's HOST:PORT are accepted"


def executor_at(address: str, spec: WorkerSpec, resources: Resources, prepared: Prepared) -> Executor:
    """Start the executor of an address: `serial`, or for every other Ray. Raises SweepStopped."""
    retries = prepared.config.retries
    if address == "serial":
        return SerialExecutor(spec, retries=retries, model=prepared.model, runs=prepared.plan.runs)
    from compute.sweep.executors.ray_executor import RayExecutor  # Ray takes a second to import

    clock = UnitClock(prepared.config.max_unit_seconds)
    return RayExecutor(spec, resources, address=address, retries=retries, clock=clock)


def check_address(address: str) -> None:
    """Raise SweepStopped unless `address` is on this machine or a server listens there.

    Ray itself waits for minutes, and prints a lot, if no server does.
    """
    if address in ON_THIS_MACHINE:
        return
    named, accepted = "--address", _ACCEPTED
    if address == "auto" and os.environ.get("RAY_ADDRESS"):
        named, address = "RAY_ADDRESS in the environment", os.environ["RAY_ADDRESS"]
        accepted = "a Ray cluster's HOST:PORT is accepted there; without the variable auto looks on this machine"
    if address == "auto":
        from compute.sweep.executors.ray_executor import auto_address

        address = auto_address()
    host, colon, port = address.rpartition(":")
    if not colon or not host or "/" in host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise SweepStopped(f"{named}: {address!r} is not an address; {accepted}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _TIMEOUT_SECONDS).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "no answer"
        raise SweepStopped(f"{named}: no Ray cluster answers at {address!r}: {reason}; {accepted}") from None
