"""Atomic and durable writes, and guarded reads of files that another program may have made."""

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

JSON_LIMIT = 1 << 26  # bytes; parsed, a text may take thirty times its size
_FULL = (errno.ENOSPC, errno.EDQUOT)
_MODE = 0o666  # less what the umask takes: in a folder that a group shares, the group may write


def free_bytes(path: Path) -> int:
    """Bytes that an unprivileged user may still write on the file system of `path`."""
    usage = os.statvfs(path)
    return usage.f_bavail * usage.f_frsize


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, so that renames in it are durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot sync folders; the rename itself is still atomic there.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def translate_write_errors(path: Path, needed: int) -> Iterator[None]:
    """Raise StoreFull for "no space left" and "quota exceeded", and StoreError for any other OSError."""
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
    """Write and sync `data` to a temporary file beside `path`; return its path. The file is removed on an error."""
    temporary = path.with_name(temporary_name(path.name))
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _MODE)
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def replace_file(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Write `data` to `path` atomically and durably: a reader sees the old file or the new one. Raises StoreFull.

    The file's mode is what the umask asks for, or `mode`.
    """
    with translate_write_errors(path, len(data)):
        temporary = write_temporary(path, data)
        try:
            if mode is not None:
                temporary.chmod(mode)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def save_file(path: Path, data: bytes) -> None:
    """Write `data` atomically to a path that the user has named: a policy, a picture, but not a store's own file.

    Where the path is a symbolic link, the file that it leads to is replaced and keeps its mode; a device or a pipe is
    written to. Raises StoreError, StoreFull.
    """
    with translate_write_errors(path, len(data)):
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            path.write_bytes(data)
            return
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    replace_file(target, data, mode=mode)


def create_file(path: Path, data: bytes) -> bool:
    """Write `data` to `path` as `replace_file` does, unless the path exists: the first of several writers wins.

    Returns whether this call created the file. Raises StoreFull.
    """
    with translate_write_errors(path, len(data)):
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
        # No hard links here. A writer that comes between check and rename is harmless: its file is whole, too.
        if os.path.lexists(path):
            return False
        os.rename(temporary, path)
    return True


def append_line(path: Path, line: str) -> None:
    """Append one line and sync the file. A line that does not fit is removed again. Raises StoreFull."""
    data = line.encode("ascii") + b"\n"
    with translate_write_errors(path, len(data)):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, _MODE)
        try:
            size = _truncate_unfinished_line(descriptor)
            try:
                _write_all(descriptor, data)
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)


def _truncate_unfinished_line(descriptor: int) -> int:
    """Remove the last line if it has no newline, as after a crash; return the file's size."""
    size = os.fstat(descriptor).st_size
    end = size
    while end and os.pread(descriptor, 1, end - 1) != b"\n":
        end = _end_of_last_line(descriptor, end)
    if end != size:
        os.ftruncate(descriptor, end)
    return end


def _end_of_last_line(descriptor: int, end: int, block: int = 1 << 16) -> int:
    """The position after the last newline in the block before `end`, or the start of the block if it has none."""
    start = max(0, end - block)
    return start + os.pread(descriptor, end - start, start).rfind(b"\n") + 1


def read_file(path: Path, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes; links are not followed.

    Raises FileNotFoundError, and StoreError for anything but a regular file and for one that is too large.
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
        if status.st_size > limit:
            raise StoreError(f"{path}: {status.st_size} bytes are more than the {limit} that are accepted here")
        try:
            return file.read(status.st_size)  # a file that grows meanwhile is appended to: what was there is whole
        except OSError as error:
            raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
        except MemoryError:
            raise StoreError(f"{path}: {status.st_size} bytes do not fit into memory") from None


def parse_json(text: bytes | str, name: object) -> Any:
    """Parse JSON from an untrusted file; errors call it `name`. Raises StoreError, also for NaN and infinities."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{name}: is not valid JSON: {error}") from error


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not a JSON number")
