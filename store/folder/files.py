"""Writing files so that they are whole or not there, and reading them without trusting them."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Never

from store.errors import StoreError, StoreFull
from store.folder.layout import temporary_name

JSON_LIMIT = 1 << 30
_FULL = (errno.ENOSPC, errno.EDQUOT)


def free_bytes(path: Path) -> int:
    """Bytes that an ordinary user may still write on the file system of `path`."""
    usage = os.statvfs(path)
    return usage.f_bavail * usage.f_frsize


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems have no fsync for folders; the rename itself is still atomic there.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def full_disk_named(path: Path, needed: int) -> Iterator[None]:
    """Turn "no space left" and "quota exceeded" into StoreFull, and any other OSError into StoreError."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StoreFull(path, needed, free_bytes(path.parent)) from error
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_temporary(path: Path, data: bytes) -> Path:
    """Write and fsync `data` under a temporary name beside `path`; return that name. Leaves nothing when it fails."""
    temporary = path.with_name(temporary_name(path.name))
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` at `path` atomically and durably: a reader sees the old file or the new one. Raises StoreFull."""
    with full_disk_named(path, len(data)):
        temporary = write_temporary(path, data)
        try:
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def create_file(path: Path, data: bytes) -> bool:
    """Put `data` at `path` as `replace_file` does, but only where nothing is: the first of several writers wins.

    Returns whether this call created it. Raises StoreFull.
    """
    with full_disk_named(path, len(data)):
        temporary = write_temporary(path, data)
        try:
            return _link_or_rename(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
            sync_folder(path.parent)


def _link_or_rename(temporary: Path, path: Path) -> bool:
    try:
        os.link(temporary, path, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        # No hard links on this file system: the gap between the look and the rename is harmless, both files are whole.
        if os.path.lexists(path):
            return False
        os.rename(temporary, path)
    return True


def append_line(path: Path, line: str) -> None:
    """Append one line and flush it to the disk; a line that does not fit is taken back. Raises StoreFull."""
    data = line.encode("ascii") + b"\n"
    with full_disk_named(path, len(data)):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
        try:
            size = _end_of_last_line(descriptor)
            try:
                _write_all(descriptor, data)
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)


def _end_of_last_line(descriptor: int) -> int:
    """Cut off what a crash left of an unfinished last line; return the file's size."""
    size = os.fstat(descriptor).st_size
    end = size
    while end and os.pread(descriptor, 1, end - 1) != b"\n":
        end = max(0, _last_newline(descriptor, end))
    if end != size:
        os.ftruncate(descriptor, end)
    return end


def _last_newline(descriptor: int, end: int, block: int = 1 << 16) -> int:
    start = max(0, end - block)
    found = os.pread(descriptor, end - start, start).rfind(b"\n")
    return start + found + 1 if found >= 0 else start


def read_file(path: Path, limit: int | None = None) -> bytes:
    """The bytes of a regular file of at most `limit` bytes; a link is not followed.

    Raises FileNotFoundError, or StoreError for anything but a regular file and for one that is too large.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = "is a symbolic link" if error.errno == errno.ELOOP else f"cannot be read: {error.strerror}"
        raise StoreError(f"{path}: {reason}; a store holds regular files only") from error
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StoreError(f"{path}: is not a regular file")
        if limit is not None and status.st_size > limit:
            raise StoreError(f"{path}: {status.st_size} bytes are more than the {limit} that are accepted here")
        try:
            return file.read()
        except OSError as error:
            raise StoreError(f"{path}: cannot be read: {error.strerror}") from error


def parse_json(text: bytes | str, name: object) -> Any:
    """Parse JSON from an untrusted file; `name` is what the error calls it. Raises StoreError, also for NaN."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{name}: is no valid JSON: {error}") from error


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is not a JSON number")
