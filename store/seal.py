"""The seal: the first 512 bytes of a shard, which hold the SHA-256 of the rest, so that a shard proves itself whole.

HDF5 calls such bytes a user block and looks for its own signature behind it, so any HDF5 reader opens a sealed file.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from store.errors import ShardDamaged, ShardMissing, StoreError
from store.files import read_file

SEAL_SIZE = 512
_PREFIX = b"skipscope-shard 1 sha256 "


def sealed(image: bytes) -> bytes:
    """An HDF5 file image with its seal in front."""
    return _seal(image) + image


def is_sealed(data: bytes) -> bool:
    """Whether a whole shard's bytes are those that were sealed."""
    return data[:SEAL_SIZE] == _seal(memoryview(data)[SEAL_SIZE:])


def has_seal(data: bytes) -> bool:
    """Whether the bytes claim to be a shard of ours, whole or not."""
    return data.startswith(_PREFIX)


def read_sealed(path: Path) -> bytes:
    """A shard's bytes. Raises ShardMissing, or ShardDamaged unless they are those that were sealed."""
    try:
        data = read_file(path)
    except FileNotFoundError:
        raise ShardMissing(f"{path}: no such shard") from None
    except StoreError as error:
        raise ShardDamaged(str(error)) from error
    if not is_sealed(data):
        raise ShardDamaged(f"{path}: does not match its own checksum; `verify` the store and run the unit again")
    return data


def _seal(image: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(image).hexdigest().encode("ascii")
    return (_PREFIX + digest).ljust(SEAL_SIZE - 1) + b"\n"
