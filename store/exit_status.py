"""Running a command line: errors become lines on stderr and an exit status."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

import typer

from store.errors import SkipscopeError
from store.extras import how_to_install
from store.paths import expand_paths
from store.standard_streams import make_usable

_INTERRUPTED = "interrupted; what is done stays, and the same command goes on from there"


def run_app(app: typer.Typer, arguments: Sequence[str] | None = None, *, prog_name: str | None = None) -> int:
    """Run a command line and return its exit status.

    0, or what the command exits with; 1 if nobody reads standard output; 2 for SkipscopeError, OSError, usage errors
    and a missing optional dependency, printed as `skipscope: <message>`, one line for each of the message's; 130 after
    Ctrl-C. Other exceptions are raised. `arguments` are those of the process by default.
    """
    make_usable()
    expand_paths(app)
    try:
        status = app(arguments, prog_name=prog_name, standalone_mode=False)
        sys.stdout.flush()
    except SkipscopeError as error:
        return _fail(str(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        return _fail(_INTERRUPTED, 130)
    except BrokenPipeError:
        _discard_stdout()
        return 1
    except OSError as error:
        return _fail(": ".join(str(part) for part in (error.filename, error.strerror or error) if part), 2)
    except ModuleNotFoundError as error:
        advice = how_to_install(error)
        if advice is None:
            raise
        return _fail(advice, 2)
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "format_message"):  # a usage error of click, or typer's copy
            return _fail(error.format_message(), 2)
        raise
    if status == 130:  # typer turns Ctrl-C into this status, without a message
        return _fail(_INTERRUPTED, 130)
    return status if isinstance(status, int) else 0


def _fail(message: str, status: int) -> int:
    with contextlib.suppress(OSError):  # nobody reads standard error
        for line in message.splitlines():
            print(f"skipscope: {line}", file=sys.stderr, flush=True)
    return status


def _discard_stdout() -> None:
    """Let the interpreter's last flush of standard output succeed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
