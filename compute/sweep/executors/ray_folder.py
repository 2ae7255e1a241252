"""The folder of a Ray that is started for one sweep: made in a short place, and removed also after a kill.

Ray keeps logs, sockets and its address there. A driver that is killed leaves the folder; the next one of the same user
removes it. The lock on its file `owner` shows whether the driver lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import stat
import tempfile
import time
from pathlib import Path

from compute.sweep.executors.executor import SweepStopped

_PREFIX = "skipscope-ray-"
_OWNER = "owner"
_LONGEST_SOCKET = 103  # bytes: 107 on Linux, 103 on macOS
_SOCKET = f"/{_PREFIX}12345678/session_2026-11-30_13-15-47_052835_1234567/sockets/plasma_store.1"
"""What Ray appends to the temporary folder for its longest socket."""
_TRIES = 20
_UNOWNED_SECONDS = 3600.0  # a folder without a lock may have been made just now


class RayFolder:
    """A folder of this process. Making one removes those that dead processes of this user have left beside it."""

    def __init__(self) -> None:
        base = _short_base()
        _remove_abandoned(base)
        try:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        except OSError as error:
            raise SweepStopped(f"{_variable()}: no folder can be made in {base}: {error.strerror}") from error
        self._lock = os.open(self.path / _OWNER, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with contextlib.suppress(OSError):  # a file system without locks: what a kill leaves there stays
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(self._lock, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())

    def remove(self) -> None:
        """Remove the folder and what is in it, while processes that are ending may still write there."""
        for _ in range(_TRIES):
            shutil.rmtree(self.path, ignore_errors=True)
            if not self.path.exists():
                break
            time.sleep(0.1)
        with contextlib.suppress(OSError):
            os.close(self._lock)


def _variable() -> str:
    return "RAY_TMPDIR" if os.environ.get("RAY_TMPDIR") else "TMPDIR"


def _short_base() -> Path:
    """Return the temporary folder, or /tmp where its path is too long for a socket. Raises SweepStopped."""
    asked = os.environ.get("RAY_TMPDIR")
    candidates = [asked] if asked else [tempfile.gettempdir(), "/tmp"]
    for candidate in candidates:
        base = os.path.abspath(candidate)
        if len(os.fsencode(base + _SOCKET)) <= _LONGEST_SOCKET and os.access(base, os.W_OK | os.X_OK):
            return Path(base)
    raise SweepStopped(
        f"{_variable()}: Ray needs a folder that can be written, with a path of at most "
        f"{_LONGEST_SOCKET - len(_SOCKET)} characters, and {' and '.join(candidates)!r} is none; set {_variable()} to "
        "one, or use --address serial, which needs no Ray"
    )


def _remove_abandoned(base: Path) -> None:
    """Remove the folders of this user whose driver is dead; those of others, and links, are left alone."""
    for folder in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            status = folder.lstat()
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and _is_abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / _OWNER, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        with contextlib.suppress(OSError):
            return time.time() - folder.stat().st_mtime > _UNOWNED_SECONDS
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
