"""What a driver's lease is built on: two lock files, and whether a process on this machine is alive."""

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
from store.folder.layout import ACQUISITION_LOCK, DRIVER_LOCK

_ACQUISITION_STALE_SECONDS = 30.0
_HELD = (errno.EWOULDBLOCK, errno.EACCES)
_TRIES, _SECONDS_BETWEEN_TRIES = 5, 0.05  # `is_locked` of another process holds the lock for an instant


def lock_driver_file(root: Path) -> int | None:
    """Lock `driver.lock` with flock and return its descriptor; the lock ends when that is closed.

    Returns None where the file system has no locks. Raises BlockingIOError if another process holds the lock.
    """
    try:
        descriptor = os.open(root / DRIVER_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise StoreError(f"{root}: cannot be driven: {error.strerror}") from error
    for tries_left in reversed(range(_TRIES)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD and tries_left:
                time.sleep(_SECONDS_BETWEEN_TRIES)
                continue
            os.close(descriptor)
            if error.errno in _HELD:
                raise BlockingIOError(error.errno, error.strerror) from error
            return None
        break
    return descriptor


def is_locked(root: Path) -> bool | None:
    """Whether a process holds `driver.lock`, also one that is suspended; None where this cannot be known."""
    try:
        descriptor = os.open(root / DRIVER_LOCK, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return True if error.errno in _HELD else None
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def acquisition_lock(root: Path) -> Iterator[float]:
    """Hold `driver.claim`, which is created exclusively, while a lease is taken; yield the file server's time.

    Works also where the file system has no locks. Raises DriverRunning if another process holds it for too long.
    """
    path = root / ACQUISITION_LOCK
    deadline = time.monotonic() + _ACQUISITION_STALE_SECONDS + 5
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
            break
        except FileExistsError:
            _remove_if_stale(path)
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


def _remove_if_stale(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if time.time() - path.lstat().st_mtime > _ACQUISITION_STALE_SECONDS:
            path.unlink()


def machine_identity() -> str:
    """A text that is equal in two processes exactly if their process ids can be compared.

    It holds the host name, the boot id of the kernel and the process namespace.
    """
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def is_known_dead(pid: int, machine: str) -> bool:
    """Whether a process of a machine is dead (a zombie counts as dead); False where this cannot be known."""
    if machine != machine_identity() or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return process_state(pid) in ("Z", "X")


def process_state(pid: int) -> str | None:
    """Return the letter of a process's state, as in `/proc`: T is suspended, Z a zombie. None where it is not known."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return None
