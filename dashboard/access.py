"""Who may talk to the dashboard's server: its own pages, under a name of its own, outside of other sites' frames.

Streamlit checks the origin of WebSockets alone. A page of another site could otherwise show the dashboard in a frame,
or reach a server on the loopback interface under a name that it has made point there (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_HEADERS = (
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class AccessCheck:
    """ASGI middleware: refuses foreign `Host` and `Origin` headers with 403, and forbids framing in every response.

    A host is the dashboard's own if it is `localhost`, an IP address, this machine's name or one of `allowed`. An
    origin is, if it is the request's host or one of `allowed`.
    """

    def __init__(self, application: Application, *, allowed: Iterable[str] = ()) -> None:
        self._application = application
        self._allowed = {name.lower().rstrip(".") for name in allowed}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
            return
        problem = self._problem(scope["headers"])
        if problem is None:
            await self._application(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": problem[:120]})
        else:
            headers = [(b"content-type", b"text/plain; charset=utf-8"), *_HEADERS]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": f"{problem}\n".encode()})

    def _problem(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        hosts, origins = ([value.decode("latin-1") for key, value in headers if key == name] for name in _CHECKED)
        host = _name(f"//{hosts[0]}") if len(hosts) == 1 else None
        if host is None or not (host in self._allowed or is_own_name(host)):
            return f"Host: {_shown(hosts)} is not the dashboard's name; start it with --allow-host NAME to allow one"
        for origin in origins:
            if urlsplit(origin).netloc.lower() != hosts[0].lower() and _name(origin) not in self._allowed:
                return f"Origin: {_shown(origins)} is another site; the dashboard answers its own pages only"
        return None


_CHECKED = (b"host", b"origin")


def is_own_name(host: str) -> bool:
    """Return whether a host name is one that no other site can make point here: localhost, an address, this machine."""
    if host in ("localhost", socket.gethostname().lower()):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _name(url: str) -> str | None:
    """Return the host name in a URL, lower case and without its port; None where there is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for what is no port
    except ValueError:
        return None
    if parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment:
        return None
    return parts.hostname.rstrip(".") if parts.hostname else None


def _shown(values: list[str]) -> str:
    return ", ".join(values)[:80] or "none"


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name for name, _ in _HEADERS}
            kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in own]
            message = {**message, "headers": [*kept, *_HEADERS]}
        await send(message)

    return send_with_headers
