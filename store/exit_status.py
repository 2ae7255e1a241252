"""Running a command line: errors become lines on stderr and an exit status."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Never, TextIO

import typer

from store.errors import SkipscopeError
from store.extras import how_to_install
from store.paths import expand_paths
from store.standard_streams import make_usable
from store.stop_signals import stop_signals

_SIGNAL_STATUS = 128  # more the signal's number: what a shell reports of a process that a signal has ended
_GOES_ON = "what is done stays, and the same command goes on from there"


def run_app(app: typer.Typer, arguments: Sequence[str] | None = None, *, prog_name: str | None = None) -> int:
    """Run a command line and return its exit status. SIGTERM and SIGHUP stop it as Ctrl-C does.

    0, or what the command exits with; 1 if nobody reads standard output; 2 for SkipscopeError, OSError, usage errors
    and a missing optional dependency, printed as `skipscope: <message>`, one line for each of the message's; 130 after
    Ctrl-C, 143 after SIGTERM, 129 after SIGHUP. Other exceptions are raised. `arguments` are those of the process by
    default.
    """
    make_usable()
    expand_paths(app)
    with stop_signals.handled():
        status = _status_of(app, arguments, prog_name)
    for stream in (sys.stdout, sys.stderr):
        _settle(stream)
    return status


def exit_process(status: int) -> Never:
    """End the process. After a signal nothing is waited for: not for threads, and not for libraries that tidy up."""
    if status > _SIGNAL_STATUS:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)
    sys.exit(status)


def _status_of(app: typer.Typer, arguments: Sequence[str] | None, prog_name: str | None) -> int:
    try:
        status = app(arguments, prog_name=prog_name, standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:
        # What a signal interrupts may end with any exception: Ray's own processes got the signal, too.
        if stop_signals.first is not None or isinstance(error, KeyboardInterrupt | typer.Abort):
            return _stopped()
        if (known := _status_of_error(error)) is None:
            raise
        return known
    if status == _SIGNAL_STATUS + signal.SIGINT:  # typer turns KeyboardInterrupt into this status, without a message
        return _stopped()
    return status if isinstance(status, int) else 0


def _status_of_error(error: BaseException) -> int | None:
    """Print what a user has to know of an error and return the exit status; None for one that is raised."""
    if isinstance(error, SkipscopeError):
        return _fail(str(error), 2)
    if isinstance(error, BrokenPipeError):
        return 1
    if isinstance(error, OSError):
        return _fail(": ".join(str(part) for part in (error.filename, error.strerror or error) if part), 2)
    if isinstance(error, ModuleNotFoundError) and (advice := how_to_install(error)) is not None:
        return _fail(advice, 2)
    if hasattr(error, "exit_code") and hasattr(error, "format_message"):  # a usage error of click, or typer's copy
        return _fail(error.format_message(), 2)
    return None


def _stopped() -> int:
    """Return the exit status of a process that the first of its stop signals, or Ctrl-C, has ended; say so."""
    number = stop_signals.first or signal.SIGINT
    what = "interrupted" if number == signal.SIGINT else f"stopped by {number.name}"
    with contextlib.suppress(OSError):  # after SIGHUP the terminal is gone
        _fail(f"{what}; {_GOES_ON}", 0)
    return _SIGNAL_STATUS + number


def _fail(message: str, status: int) -> int:
    with contextlib.suppress(OSError):  # nobody reads standard error
        for line in message.splitlines():
            print(f"skipscope: {line}", file=sys.stderr, flush=True)
    return status


def _settle(stream: TextIO) -> None:
    """Write what a stream still holds, or drop what nobody takes: the interpreter's last flush must not fail."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
