"""What Ray's library does to the process that uses it, kept off while Ray is connected or started."""

from __future__ import annotations

import atexit
import contextlib
import signal
import threading
from collections.abc import Iterator

import ray


@contextlib.contextmanager
def our_signals() -> Iterator[None]:
    """Keep the handler of SIGTERM: Ray replaces it by one that exits, and its C++ part by one that prints a stack."""
    functions = ray._private.utils
    before = functions.set_sigterm_handler
    functions.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        functions.set_sigterm_handler = before
        handler = signal.getsignal(signal.SIGTERM)
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Python does not know that C++ has replaced it


@contextlib.contextmanager
def our_output() -> Iterator[None]:
    """Keep Ray from printing what its processes report, such as a raylet's last words, on standard output."""
    worker = ray._private.worker
    before = worker.listen_error_messages
    worker.listen_error_messages = lambda *_: None
    try:
        yield
    finally:
        worker.listen_error_messages = before


@contextlib.contextmanager
def loopback_only() -> Iterator[None]:
    """Keep Ray's ports off every other network interface.

    Ray 2.60 replaces 127.0.0.1 by the machine's own address, and then listens on all interfaces, unless clusters are
    disabled, as they are on Windows and macOS.
    """
    constants = ray._private.ray_constants
    before = constants.ENABLE_RAY_CLUSTER
    constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before


def abandon_connection() -> None:
    """Keep what this process still does from reaching the C++ part of a Ray whose shutdown is not waited for.

    A reference to a result that is dropped after that part is shut down, and before Ray's library knows it, ends the
    process with status 1; without the attribute, references and actors are dropped as after a shutdown.
    """
    atexit.unregister(ray.shutdown)  # it would wait for the shutdown that is not waited for
    vars(ray._private.worker.global_worker).pop("core_worker", None)
