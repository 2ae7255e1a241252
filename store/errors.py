"""The errors that a user sees: one line that names what was wrong and what is accepted."""

from __future__ import annotations

from pathlib import Path


class SkipscopeError(Exception):
    """Bad input or a fault outside the program. Command lines print the message, without a traceback."""


class StoreError(SkipscopeError):
    """A sweep store, or the data to be written into it, is invalid."""


class NotASweep(StoreError):
    """The path is not a sweep, or a sweep cannot be created there."""


class NewerFormat(StoreError):
    """The sweep was written by a newer release in a format that this one cannot read."""


class SweepDamaged(StoreError):
    """`sweep.json` differs from what was written."""


class ShardMissing(StoreError):
    """The store has no shard of that key."""


class ShardDamaged(StoreError):
    """A shard is truncated or changed, or holds an element of an unexpected shape, type or origin."""


class PayloadError(StoreError, ValueError):
    """A unit's result is inconsistent: a shape, a dtype, a step, or a number that is not finite."""


class DriverRunning(StoreError):
    """Another driver holds the store."""


class StoreFull(StoreError):
    """No space is left on the store's file system. No incomplete file is left either.

    `path` was being written, `needed` is its size in bytes, `free` was free.
    """

    def __init__(self, path: Path, needed: int, free: int) -> None:
        super().__init__(f"{path}: no space left: {needed} bytes are needed, {free} are free; free some and run again")
        self.path = path
        self.needed = needed
        self.free = free

    def __reduce__(self) -> tuple[type[StoreFull], tuple[Path, int, int]]:
        return StoreFull, (self.path, self.needed, self.free)
