"""Progress on stderr: a bar with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_SECONDS_BETWEEN_LINES = 15.0


class Bar(Protocol):
    """Counts the finished items of a long task."""

    def advance(self, note: str = "", *, count: int = 1) -> None:
        """Count `count` more items as finished and show a note."""

    def retreat(self) -> None:
        """Count one item less: it has to be done again."""

    def print(self, line: str) -> None:
        """Print a line that stays."""


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(rate(task.speed, str(task.fields["unit"])))


def rate(speed: float | None, unit: str) -> str:
    """Return items per second, "2.1 units/s"; seconds per item below 1, "3.4 s/unit"; "" if the speed is unknown."""
    if not speed:
        return ""
    return f"{speed:.1f} {unit}s/s" if speed >= 1 else f"{1 / speed:.1f} s/{unit}"


class _TerminalBar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance(self, note: str = "", *, count: int = 1) -> None:
        self._progress.update(self._task, advance=count, note=note)

    def retreat(self) -> None:
        self._progress.update(self._task, advance=-1)

    def print(self, line: str) -> None:
        self._progress.console.print(line, highlight=False, markup=False, soft_wrap=True)


class _PlainBar:
    """Prints a line at most every 15 seconds, so that a log stays short."""

    def __init__(self, title: str, total: int, done: int, unit: str) -> None:
        self._title, self._total, self._done, self._unit = title, total, done, unit
        self._timed_from: float | None = None  # the end of the first item: what comes before it is loading
        self._done_before, self._printed = done, time.monotonic()

    def advance(self, note: str = "", *, count: int = 1) -> None:
        self._done += count
        now = time.monotonic()
        if self._timed_from is None:
            self._timed_from, self._done_before = now, self._done
        if self._done == self._total or now - self._printed >= _SECONDS_BETWEEN_LINES:
            self._printed = now
            parts = [f"{self._title}: {self._done}/{self._total} {self._unit}s"]
            speed = (self._done - self._done_before) / max(now - self._timed_from, 1e-9)
            if speed > 0:
                left = round((self._total - self._done) / speed)
                parts += [rate(speed, self._unit), f"{left // 60}:{left % 60:02} left"]
            self.print(", ".join([*parts, note] if note else parts))

    def retreat(self) -> None:
        self._done, self._done_before = self._done - 1, self._done_before - 1

    def print(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


@contextmanager
def bar(title: str, total: int, *, done: int = 0, unit: str = "unit") -> Iterator[Bar]:
    """Show progress over `total` items, of which `done` are finished at the start."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _PlainBar(title, total, done, unit)
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _RateColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        yield _TerminalBar(progress, progress.add_task(title, total=total, completed=done, unit=unit, note=""))
