"""Which thread a followed run belongs to: the calls of two threads in one pipeline can't be told apart."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from compute.pipeline.run_steps import FollowError


class RunThread:
    """The thread that began the current run of a pipeline."""

    def __init__(self, pipe: Any) -> None:
        self._code = getattr(inspect.unwrap(type(pipe).__call__), "__code__", None) if callable(pipe) else None
        self._owner: int | None = None
        self._call: int | None = None
        self._lock = threading.Lock()

    def claim(self) -> None:
        """Begin a run in the calling thread. Raises FollowError while another thread is within a call of the pipeline.

        A run that another thread left without ending it, by an error, does not count.
        """
        with self._lock:
            own, frames = threading.get_ident(), sys._current_frames()
            other = None if self._owner in (None, own) else frames.get(self._owner or 0)
            if self._call is not None and self._call in self._calls(other):
                raise _refusal()
            self._owner, self._call = own, next(self._calls(frames[own]), None)

    def _calls(self, frame: FrameType | None) -> Iterator[int]:
        """Yield the calls of the pipeline that a thread is in, by their frames' identities."""
        while frame is not None:
            if frame.f_code is self._code:
                yield id(frame)
            frame = frame.f_back

    def check(self) -> None:
        """Raise FollowError where another thread than the run's calls."""
        if self._owner not in (None, threading.get_ident()):
            raise _refusal()

    def release(self) -> None:
        """End the run."""
        self._owner = None


def _refusal() -> FollowError:
    return FollowError(
        "pipe: two threads sample with it at once, and their steps can't be told apart: give each thread a pipeline "
        "and a UNet of its own, or let threads take turns"
    )
