"""Progress for people: a bar with rate and time left on a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

_SECONDS_BETWEEN_LINES = 15.0


class Bar(Protocol):
    """Counts something that takes long."""

    def advance(self, note: str = "", *, count: int = 1) -> None: ...

    def retreat(self) -> None:
        """One thing that was counted as done has to be done again."""

    def tell(self, line: str) -> None: ...


class _Rate(ProgressColumn):
    """Units a second, or seconds a unit where it is slower."""

    def render(self, task: Task) -> Text:
        return Text(rate(task.speed, str(task.fields["unit"])))


def rate(speed: float | None, unit: str) -> str:
    """ "2.1 units/s", or "3.4 s/unit"."""
    if not speed:
        return ""
    return f"{speed:.1f} {unit}s/s" if speed >= 1 else f"{1 / speed:.1f} s/{unit}"


class _TerminalBar:
    def __init__(self, progress: Progress, task: object) -> None:
        self._progress, self._task = progress, task

    def advance(self, note: str = "", *, count: int = 1) -> None:
        self._progress.update(self._task, advance=count, note=note)  # type: ignore[arg-type]

    def retreat(self) -> None:
        self._progress.update(self._task, advance=-1)  # type: ignore[arg-type]

    def tell(self, line: str) -> None:
        self._progress.console.print(line, highlight=False, markup=False, soft_wrap=True)


class _PlainBar:
    """A line now and then: a log stays readable."""

    def __init__(self, what: str, total: int, done: int, unit: str) -> None:
        self._what, self._total, self._done, self._unit = what, total, done, unit
        self._began: float | None = None  # of the first thing's end: what came before is loading, not speed
        self._first, self._said = done, time.monotonic()

    def advance(self, note: str = "", *, count: int = 1) -> None:
        self._done += count
        now = time.monotonic()
        if self._began is None:
            self._began, self._first = now, self._done
        if self._done == self._total or now - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = now
            parts = [f"{self._what}: {self._done}/{self._total} {self._unit}s"]
            speed = (self._done - self._first) / max(now - self._began, 1e-9)
            if speed > 0:
                left = round((self._total - self._done) / speed)
                parts += [rate(speed, self._unit), f"{left // 60}:{left % 60:02} left"]
            self.tell(", ".join([*parts, note] if note else parts))

    def retreat(self) -> None:
        self._done, self._first = self._done - 1, self._first - 1

    def tell(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


@contextmanager
def bar(what: str, total: int, *, done: int = 0, unit: str = "unit") -> Iterator[Bar]:
    """A bar over `total` things of which `done` are done already."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _PlainBar(what, total, done, unit)
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        yield _TerminalBar(progress, progress.add_task(what, total=total, completed=done, unit=unit, note=""))
