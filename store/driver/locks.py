"""The guards under a driver's lease: an exclusive claim, a lock that dies with its process, an identity of machines."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from store.errors import DriverRunning, StoreError
from store.folder.layout import DRIVER_CLAIM, DRIVER_GUARD

_CLAIM_STALE_SECONDS = 30.0


def locked_guard(root: Path) -> tuple[int | None, bool]:
    """Try to lock `driver.lock`: its descriptor, to be held open, or None, and whether another process holds it.

    Neither: the file system has no locks.
    """
    try:
        descriptor = os.open(root / DRIVER_GUARD, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise StoreError(f"{root}: cannot be driven: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        return None, error.errno in (errno.EWOULDBLOCK, errno.EACCES)
    return descriptor, False


@contextlib.contextmanager
def claimed(root: Path) -> Iterator[float]:
    """Hold `driver.claim` for the moment of taking a lease; gives the present time by the file server's clock."""
    path = root / DRIVER_CLAIM
    deadline = time.monotonic() + _CLAIM_STALE_SECONDS + 5
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
            break
        except FileExistsError:
            _drop_stale_claim(path)
            if time.monotonic() > deadline:
                raise DriverRunning(f"{root}: another process is taking the lease; try again") from None
            time.sleep(0.05)
        except OSError as error:
            raise StoreError(f"{root}: cannot be driven: {error.strerror}") from error
    try:
        yield os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)


def _drop_stale_claim(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if time.time() - path.lstat().st_mtime > _CLAIM_STALE_SECONDS:
            path.unlink()


def machine() -> str:
    """An identity under which process ids mean the same: this boot of this kernel, this process namespace."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def is_gone(pid: int, on_machine: str) -> bool:
    """Whether a process is known to be dead; False where it cannot be known."""
    if on_machine != machine() or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state in "ZX"
