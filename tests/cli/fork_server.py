"""A process that has imported everything and forks for each command: real processes, without seconds of imports.

`python -m tests.cli.fork_server` reads requests as JSON lines and writes one answer to each.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Self

TIMEOUT_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class Result:
    """The exit status of a command, negative for a signal, and its output."""

    status: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        """The lines on stderr."""
        return self.stderr.splitlines()


class Command:
    """A running `python -m compute …`."""

    def __init__(self, server: ForkServer, pid: int, files: tuple[Path, Path]) -> None:
        self.pid = pid
        self._server, self._files, self._status = server, files, None

    def poll(self) -> bool:
        """Whether the command has ended."""
        if self._status is None:
            self._status = self._server.ask(poll=self.pid)
        return self._status is not None

    def kill(self, signal: int) -> None:
        """Send a signal. Only `poll` reaps an ended process, so the pid is not in use again."""
        os.kill(self.pid, signal)

    def wait(self, seconds: float = TIMEOUT_SECONDS) -> Result:
        """Wait for the end."""
        deadline = time.monotonic() + seconds
        while not self.poll():
            if time.monotonic() > deadline:
                self.kill(9)
                raise TimeoutError(f"still running after {seconds} s: {self._output()[1][-2000:]}")
            time.sleep(0.01)
        assert self._status is not None
        stdout, stderr = self._output()
        return Result(status=self._status, stdout=stdout, stderr=stderr)

    def _output(self) -> tuple[str, str]:
        stdout, stderr = (path.read_text(errors="replace") for path in self._files)
        return stdout, stderr


class ForkServer:
    """Starts and runs commands. Use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.ask(ready=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def ask(self, **request: Any) -> Any:
        """Send a request and return the answer."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(self, *arguments: object, env: Mapping[str, str] | None = None, before: str = "") -> Command:
        """Start a command; `before` is Python code that its process runs first."""
        self._count += 1
        files = self._folder / f"{self._count}.out", self._folder / f"{self._count}.err"
        for path in files:
            path.touch()  # the command may be killed before it opens them
        pid = self.ask(
            argv=[str(argument) for argument in arguments],
            files=[str(path) for path in files],
            env=dict(env or {}),
            before=before,
        )
        return Command(self, pid, files)

    def run(self, *arguments: object, env: Mapping[str, str] | None = None, before: str = "") -> Result:
        """Run a command to its end."""
        return self.start(*arguments, env=env, before=before).wait()


def _answer(request: dict[str, Any]) -> Any:
    if "ready" in request:
        return True
    if "poll" in request:
        pid, status = os.waitpid(request["poll"], os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None
    if pid := os.fork():
        return pid
    status = 1
    try:
        _set_up_process(request)
        from compute.cli.main import main

        main()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1 if error.code else 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _set_up_process(request: dict[str, Any]) -> None:
    """Make the forked process equal to one that a shell has started with the request's command line."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for number, path in enumerate(request["files"], 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
    os.environ.update(request["env"])
    # Python ignores SIGINT in a process that was started in the background with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["compute", *request["argv"]]
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    exec(request["before"], {})


def _serve() -> None:
    import torch

    torch.set_num_threads(1)
    for module in ("compute.analysis.report.sample_sheet", "compute.recommend.recommender", "compute.sweep.launch"):
        import_module(module)
    for line in sys.stdin:
        answer = _answer(json.loads(line))
        sys.__stdout__.write(json.dumps(answer) + "\n")  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]


if __name__ == "__main__":
    _serve()
