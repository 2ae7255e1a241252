"""The address at which units are executed, checked before anything is loaded or written."""

from __future__ import annotations

import os
import socket

from compute.sweep.executors.executor import SweepStopped

_TIMEOUT_SECONDS = 5.0
_ACCEPTED = "local, serial, auto, or a Ray cluster's HOST:PORT are accepted"


def check_address(address: str) -> None:
    """Raise SweepStopped unless `address` is `local`, `serial`, or one where a server listens.

    Ray itself waits for minutes, and prints a lot, if no server does.
    """
    if address in ("local", "serial"):
        return
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "auto")
    if address == "auto":
        from compute.sweep.executors.ray_executor import auto_address

        address = auto_address()
    host, colon, port = address.rpartition(":")
    if not colon or not host or "/" in host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise SweepStopped(f"--address: {address!r} is not an address; {_ACCEPTED}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _TIMEOUT_SECONDS).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "no answer"
        raise SweepStopped(f"--address: no Ray cluster answers at {address!r}: {reason}; {_ACCEPTED}") from None
