"""A dashboard's server on a free port, for measurements, screenshots and tests."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dashboard import navigation
from store.errors import SkipscopeError

ROOT = Path(__file__).parents[1]
APP = ROOT / "dashboard" / "app.py"
PAGES = tuple(navigation.PAGES)
_START_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running dashboard."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def page(self, name: str, query: str = "") -> str:
        """Return the address of a page; `query` begins with "?"."""
        return f"{self.url}/{'' if name == 'overview' else name}{query}"


@contextmanager
def serving(folder: Path, arguments: Sequence[str], *, app: Path = APP) -> Iterator[Server]:
    """Run a Streamlit server with these arguments behind `--` until the context ends; its log is written to `folder`.

    Raises SkipscopeError if the server does not answer.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(app), "--server.port", str(port), "--", *arguments]
    log = folder / f"server-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        server = Server(url=f"http://127.0.0.1:{port}", process=process, log=log)
        _wait_until_up(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_up(server: Server) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while server.process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise SkipscopeError(f"the dashboard's server does not answer: {server.log.read_text(errors='replace')[-500:]}")
