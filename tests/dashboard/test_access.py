"""The dashboard's server is safe from wherever it is started: what it answers, and to whom."""

from __future__ import annotations

import asyncio
import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from benchmarks.server import APP, ROOT
from dashboard.access import AccessCheck
from dashboard.data.arguments import allowed_hosts

HOSTILE = """
[server]
address = "0.0.0.0"
enableCORS = false
enableXsrfProtection = false
enableStaticServing = true
enableAgentApi = true
allowedHosts = ["*"]
corsAllowedOrigins = ["http://evil.example"]
[browser]
gatherUsageStats = true
[client]
showErrorDetails = "full"
[global]
developmentMode = true
"""


def answer(kind: str, headers: Sequence[tuple[str, str]], *allowed: str) -> list[dict[str, Any]]:
    """What a request is answered with by an application that answers 200 to all."""
    sent: list[dict[str, Any]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if kind == "websocket":
            await send({"type": "websocket.accept"})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Frame-Options", b"ALLOW")]})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {}

    scope = {"type": kind, "headers": [(name.encode(), value.encode()) for name, value in headers]}
    with ThreadPoolExecutor(1) as thread:  # in this one the browser tests may have left an event loop
        thread.submit(asyncio.run, AccessCheck(application, allowed=allowed)(scope, receive, send)).result()
    return sent


OWN = [
    [("host", "localhost:8501")],
    [("host", "127.0.0.1")],
    [("host", "[::1]:8501")],
    [("host", "192.168.0.7:8501"), ("origin", "http://192.168.0.7:8501")],
    [("host", "LOCALHOST:8501"), ("origin", "http://localhost:8501")],
    [("host", socket.gethostname().lower())],
    [("host", "lab.example")],
    [("host", "127.0.0.1:8501"), ("origin", "https://lab.example")],
]
FOREIGN = [
    [],
    [("host", "evil.example:8501")],
    [("host", "evil.example"), ("origin", "http://evil.example")],
    [("host", "localhost.evil.example")],
    [("host", "127.0.0.1.evil.example")],
    [("host", "localhost@evil.example")],
    [("host", "localhost/evil.example")],
    [("host", "localhost:port")],
    [("host", "")],
    [("host", "localhost"), ("host", "evil.example")],
    [("host", "localhost:8501"), ("origin", "http://evil.example")],
    [("host", "localhost:8501"), ("origin", "http://localhost:9000")],
    [("host", "localhost:8501"), ("origin", "null")],
    [("host", "localhost:8501"), ("origin", "")],
    [("host", "localhost:8501"), ("origin", "http://localhost:8501"), ("origin", "http://evil.example")],
]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("headers", OWN)
def test_its_own_names_are_answered(kind: str, headers: list[tuple[str, str]]) -> None:
    first = answer(kind, headers, "lab.example")[0]
    assert first.get("status") == 200 or first["type"] == "websocket.accept"


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("headers", FOREIGN)
def test_foreign_names_are_refused(kind: str, headers: list[tuple[str, str]]) -> None:
    first = answer(kind, headers, "lab.example")[0]
    assert first.get("status") == 403 or first["type"] == "websocket.close"


def test_no_response_may_be_framed() -> None:
    for headers in ([("host", "localhost")], [("host", "evil.example")]):
        sent = dict(answer("http", headers)[0]["headers"])
        assert sent[b"x-frame-options"] == b"DENY" and sent[b"content-security-policy"] == b"frame-ancestors 'none'"
        assert b"X-Frame-Options" not in sent


def test_further_names_are_arguments() -> None:
    assert allowed_hosts(["--store", "x", "--allow-host", "a", "--allow-host", "b"]) == ("a", "b")
    assert allowed_hosts(["--wrong"]) == ()


@pytest.fixture(scope="module", params=["streamlit", "skipscope"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a dashboard that was started in a folder whose Streamlit configuration is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / ".streamlit").mkdir()
    (folder / ".streamlit" / "config.toml").write_text(HOSTILE)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = ["-m", "streamlit", "run", str(APP), "--server.port", port]
    if request.param == "skipscope":
        command = ["-m", "skipscope", "dashboard", "--port", port]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *command], cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 120
        while status(f"127.0.0.1:{port}", "/_stcore/health") != 200:
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def status(address: str, path: str, **headers: str) -> int | None:
    """The status of a response; None where nobody listens."""
    parts = urlsplit(f"//{address}")
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def test_a_hostile_folder_does_not_open_the_server(server: str) -> None:
    port = server.partition(":")[2]
    assert status(server, "/") == 200
    assert status(server, "/", Host="evil.example") == 403
    assert status(server, "/_stcore/health", Origin="http://evil.example") == 403
    assert status(f"127.0.0.2:{port}", "/") is None  # bound to 127.0.0.1 alone
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    upgrade["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    assert status(server, "/_stcore/stream", Origin="http://evil.example", **upgrade) == 403
    assert status(server, "/_stcore/stream", Origin=f"http://{server}", **upgrade) == 101


def test_what_keeps_the_server_safe_is_set(server: str, tmp_path: Path) -> None:
    """Options as a server reads them that is started in a hostile folder."""
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "config.toml").write_text(HOSTILE)
    script = (
        "from streamlit import config\n"
        f"config._main_script_path = {str(APP)!r}\n"
        "names = ('server.enableCORS', 'server.enableXsrfProtection', 'browser.gatherUsageStats', 'server.address',"
        " 'client.showErrorDetails', 'global.developmentMode', 'server.enableAgentApi', 'server.enableStaticServing')\n"
        "print([config.get_option(name) for name in names])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[True, True, False, '127.0.0.1', 'none', False, False, False]"
