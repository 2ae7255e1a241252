"""The connection to a Ray cluster, or to a Ray that is started on this machine for one sweep; it is watched and closed.

Ray's library waits for minutes where a process of Ray is lost, and then ends the driver with text of its own. So its
processes, or the cluster's head, are watched here, and the sweep stops with one line.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import ray
from ray.exceptions import RayError

from compute.sweep.executors.executor import SweepStopped
from compute.sweep.executors.ray_folder import RayFolder
from compute.sweep.executors.ray_library import abandon_connection, loopback_only, our_output, our_signals
from store.driver.locks import process_state
from store.stop_signals import stop_signals

_OBJECT_STORE_BYTES = 128 * 1024**2  # receipts are small, and so may be the machine's shared memory
_NEEDED = ("raylet", "gcs_server")  # Ray's processes that a sweep cannot do without
_SUSPENDED_STATES = ("T", "t")
_SUSPENDED_SECONDS = 30.0  # a terminal's Ctrl-Z suspends the driver, too: what it sees later is short
_HEAD_SECONDS = 30.0  # without an answer of the head node; Ray's library ends the driver after 60
_SECONDS_BETWEEN_CALLS = 5.0
_CLOSE_SECONDS = 15.0


class RaySession:
    """A connected Ray. Use `connect` to make one, and close it after use."""

    def __init__(self, folder: RayFolder | None, environment: Mapping[str, str | None]) -> None:
        self._folder, self._environment = folder, environment
        self._processes = _own_processes() if folder is not None else {}
        self._suspended_at: dict[str, float] = {}
        self._head = ray.get_runtime_context().gcs_address
        self._answered_at = self._called_at = time.monotonic()

    @classmethod
    def connect(cls, address: str, cores: int) -> Self:
        """Connect to a running cluster and ship our code; or start Ray here, on the loopback interface.

        Raises SweepStopped.
        """
        with our_signals(), our_output():
            return cls._start(cores) if address == "local" else cls._join(address)

    @classmethod
    def _join(cls, address: str) -> Self:
        root = Path(__file__).parents[3]
        environment = {"py_modules": [str(root / package) for package in ("compute", "store")]}
        try:
            ray.init(address=address, runtime_env=environment, logging_level="ERROR", log_to_driver=False)
        except (ConnectionError, RayError, RuntimeError, ValueError) as error:
            raise SweepStopped(
                f"--address: the Ray cluster at {address!r} refuses the connection: {_first_line(error)}; where it "
                "asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
            ) from error
        return cls(None, {})

    @classmethod
    def _start(cls, cores: int) -> Self:
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 starves workers on a machine that does other work
        folder = RayFolder()
        options = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES, "log_to_driver": False}
        more = {"_node_ip_address": "127.0.0.1", "_temp_dir": str(folder.path)}
        # With a token of its own this Ray neither reads nor writes ~/.ray/auth_token, which is for the user's clusters.
        before = _set_variables({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)})
        try:
            with loopback_only():
                ray.init(address="local", num_cpus=cores, logging_level="ERROR", **options, **more)
        except BaseException as error:
            _close(folder, before)
            if not isinstance(error, Exception):
                raise
            raise SweepStopped(  # Ray has no type of its own for processes that don't start
                f"--address: Ray cannot be started here: {_first_line(error)}; --address serial needs no Ray"
            ) from error
        folder.path.chmod(0o700)  # Ray opens it to everybody
        return cls(folder, before)

    def check(self, grace: float = 0.0) -> None:
        """Raise SweepStopped where a process of Ray that the sweep needs has ended, or the cluster's head is gone.

        `grace` is how many seconds a process that is about to end is waited for; a head that does not answer is waited
        for then, because calls of Ray's library would not return.
        """
        deadline = time.monotonic() + grace
        while not (ended := self._ended()) and self._processes and time.monotonic() < deadline:
            time.sleep(0.05)
        if ended := ended or self._suspended():
            raise SweepStopped(
                f"workers: Ray's {' and '.join(ended)}, and its workers with it; finished units are kept, and the same "
                "command resumes"
            )
        if self._folder is None:
            self._call_head(wait=grace > 0)

    def _ended(self) -> list[str]:
        """Return which of the processes that the sweep needs have ended, and how."""
        statuses = {name: self._processes[name].poll() for name in _NEEDED if name in self._processes}
        return [f"{name} ended ({_how(status)})" for name, status in statuses.items() if status is not None]

    def close(self) -> None:
        """Disconnect, and end Ray if it was started for this sweep; in bounded time."""
        _close(self._folder, self._environment)

    def _suspended(self) -> list[str]:
        """Return which of the processes that the sweep needs have been suspended for too long."""
        now = time.monotonic()
        for name in _NEEDED:
            process = self._processes.get(name)
            if process is None or process_state(process.pid) not in _SUSPENDED_STATES:
                self._suspended_at.pop(name, None)
            else:
                self._suspended_at.setdefault(name, now)
        return [
            f"{name} is suspended" for name, since in self._suspended_at.items() if now - since > _SUSPENDED_SECONDS
        ]

    def _call_head(self, wait: bool) -> None:
        now = time.monotonic()
        if now - self._called_at < _SECONDS_BETWEEN_CALLS and not wait:
            return
        self._called_at = now
        while (problem := _problem_with(self._head)) is not None:
            if time.monotonic() - self._answered_at > _HEAD_SECONDS:
                raise SweepStopped(
                    f"workers: the cluster's head at {self._head} has not answered for {_HEAD_SECONDS:.0f} s "
                    f"({problem}); finished units are kept; start the cluster, and the same command resumes"
                )
            if not wait:
                return
            time.sleep(1.0)
        self._answered_at = time.monotonic()


def _problem_with(address: str) -> str | None:
    """Return why nothing listens at HOST:PORT; None if something does."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), 2.0).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _own_processes() -> dict[str, Any]:
    """Return the processes of the Ray that this process has started, by Ray's names for them."""
    infos = ray._private.worker._global_node.all_processes
    return {name: info.process for name, (info, *_) in infos.items()}


def _close(folder: RayFolder | None, environment: Mapping[str, str | None]) -> None:
    """Shut Ray down in a thread, because its library may wait for what is dead; what is left is killed."""
    ended = threading.Event()  # Python 3.11 takes a thread for ended where a signal has interrupted its `join`
    processes: dict[str, Any] = {}
    try:
        with stop_signals.deferred():
            processes = _own_processes() if folder is not None and ray.is_initialized() else {}
            threading.Thread(target=_shut_down, args=(ended,), name="ray-shutdown", daemon=True).start()
        ended.wait(_CLOSE_SECONDS)  # a second signal interrupts this and nothing else
    finally:
        with stop_signals.deferred():
            if not ended.is_set():
                abandon_connection()
            for process in processes.values():
                with contextlib.suppress(OSError):
                    process.kill()
            _set_variables(environment)
            if folder is not None:
                folder.remove()


def _shut_down(ended: threading.Event) -> None:
    with contextlib.suppress(Exception):  # of parts that are dead already
        ray.shutdown()
    ended.set()


def _set_variables(values: Mapping[str, str | None]) -> dict[str, str | None]:
    """Set environment variables, None to remove one; return what they were. Ray's library reads them again."""
    before = {name: os.environ.get(name) for name in values}
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if values and hasattr(ray._raylet, "AuthenticationTokenLoader"):  # Ray has tokens since 2.52
        ray._raylet.Config.initialize("")
        ray._raylet.AuthenticationTokenLoader.instance().reset_cache()
    return before


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _how(status: int) -> str:
    return f"status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"
