"""The errors that reach a user: one line that names what was wrong and what is accepted."""

from __future__ import annotations

from pathlib import Path


class SkipscopeError(Exception):
    """Bad input or a fault outside the program; its text is one line for the user, never a traceback."""


class StoreError(SkipscopeError):
    """Something is wrong with a sweep store or with what was to be written into it."""


class NotASweep(StoreError):
    """The path holds no sweep, or cannot hold one."""


class NewerFormat(StoreError):
    """The sweep was written by a newer release, in a format that this one does not know."""


class SweepDamaged(StoreError):
    """`sweep.json` cannot be read as it was written."""


class ShardMissing(StoreError):
    """No shard of that key is in the store."""


class ShardDamaged(StoreError):
    """A shard is truncated, flipped, hostile, or holds an element of an unexpected shape or type."""


class PayloadError(StoreError, ValueError):
    """A worker's result does not fit together: a shape, a dtype, a step or a number that is not finite."""


class DriverRunning(StoreError):
    """Another driver owns the store."""


class StoreFull(StoreError):
    """No space is left; nothing half-written is visible.

    Carries `path` (what was being written) and `needed` (its size in bytes).
    """

    def __init__(self, path: Path, needed: int, free: int) -> None:
        super().__init__(f"{path}: no space left: {needed} bytes are needed, {free} are free; free some and run again")
        self.path = path
        self.needed = needed
        self.free = free

    def __reduce__(self) -> tuple[type[StoreFull], tuple[Path, int, int]]:
        return StoreFull, (self.path, self.needed, self.free)
