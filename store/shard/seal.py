"""The seal: the first 512 bytes of a shard, with size and SHA-256 of the rest, which show whether the file is complete.

HDF5 calls such bytes a user block and looks for its signature behind them, so any HDF5 reader opens a sealed file.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Literal

from store.errors import ShardDamaged, ShardMissing, StoreError
from store.folder.files import read_file

SEAL_SIZE = 512
SHARD_LIMIT = 1 << 32  # bytes; a shard is read and written in memory
_MOST_CHECKED = 100_000
_checked: dict[str, tuple[int, int, int]] = {}
_SEAL = re.compile(rb"skipscope-shard 1 size ([0-9]{1,18}) sha256 ([0-9a-f]{64}) *\n")


def sealed(image: bytes) -> bytes:
    """An HDF5 file image with its seal in front."""
    return _seal(image) + image


def seal_state(data: bytes) -> Literal["whole", "truncated", "flipped", "none"]:
    """Whether a file's bytes are those that were sealed, fewer, or changed; `none` if they do not begin with a seal."""
    seal, image = data[:SEAL_SIZE], memoryview(data)[SEAL_SIZE:]
    match = _SEAL.fullmatch(seal)
    if match is None:
        return "none"
    if len(image) < int(match.group(1)):
        return "truncated"
    return "whole" if seal == _seal(image) else "flipped"


def seal_digest(data: bytes) -> str | None:
    """The digest in a file's first bytes; None if they are no seal."""
    match = _SEAL.fullmatch(data[:SEAL_SIZE])
    return match.group(2).decode("ascii") if match else None


def size_and_seal_digest(path: Path) -> tuple[int, str | None]:
    """A regular file's size, and the digest in its first bytes, read without the rest: None if they are no seal.

    A resume asks it of every shard, so it takes one look at the path. Raises OSError, for a link too.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        return os.fstat(descriptor).st_size, seal_digest(os.read(descriptor, SEAL_SIZE))
    finally:
        os.close(descriptor)


def read_sealed(path: Path) -> bytes:
    """Read a shard in full. Raises ShardMissing, or ShardDamaged unless its bytes are those that were sealed."""
    try:
        data = read_file(path, SHARD_LIMIT)
    except FileNotFoundError:
        raise ShardMissing(f"{path}: no such shard") from None
    except StoreError as error:
        raise ShardDamaged(str(error)) from error
    state = seal_state(data)
    if state != "whole":
        problem = "is not a shard" if state == "none" else f"is {state}: it does not match its own checksum"
        raise ShardDamaged(f"{path}: {problem}; `prune --damaged` removes it, and the sweep then runs its unit again")
    return data


def check_sealed(path: Path) -> None:
    """Check a shard in full, unless this process has checked the file as it is: same size, time of change and inode.

    Raises ShardMissing or ShardDamaged.
    """
    stamp = _stamp(path)
    if stamp is None or _checked.get(str(path)) != stamp:
        read_sealed(path)
        if stamp is not None:
            _checked[str(path)] = stamp
        if len(_checked) > _MOST_CHECKED:
            _checked.pop(next(iter(_checked)))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def _seal(image: bytes | memoryview) -> bytes:
    text = f"skipscope-shard 1 size {len(image)} sha256 {hashlib.sha256(image).hexdigest()}"
    return text.encode("ascii").ljust(SEAL_SIZE - 1) + b"\n"
