"""SIGTERM and SIGHUP stop a command as Ctrl-C does: by an exception, so that what is open is closed on the way out."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """The stop signals of this process; each raises KeyboardInterrupt. `first` is the first one within `handled`.

    A second signal interrupts what the first one is waiting for on its way out.
    """

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        self._is_deferring, self._came_meanwhile = False, False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals within the context. A signal that the process was told to ignore stays ignored (nohup)."""
        before = {number: signal.getsignal(number) for number in _SIGNALS} if _in_main_thread() else {}
        handled = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
        try:
            for number in handled:
                signal.signal(number, self._receive)
            yield
        finally:
            for number, handler in handled.items():
                signal.signal(number, handler)
            self.first = None

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let what is done within the context be finished; a signal that comes meanwhile raises at its end."""
        if self._is_deferring or not _in_main_thread():
            yield
            return
        self._is_deferring, self._came_meanwhile = True, False
        try:
            yield
        finally:
            self._is_deferring = False
        if self._came_meanwhile:
            raise KeyboardInterrupt

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.first is None:
            self.first = signal.Signals(number)
        if self._is_deferring:
            self._came_meanwhile = True
            return
        raise KeyboardInterrupt


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


stop_signals = StopSignals()
"""Those of this process, which has one set of handlers."""
