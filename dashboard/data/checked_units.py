"""Shards as the dashboard opens them: one that is damaged is an error that pages show in one panel."""

from __future__ import annotations

from pathlib import Path

from store.errors import ShardDamaged, ShardMissing
from store.shard.reader import UnitReader
from store.sweep_reader import SweepReader
from store.sweep_store import SweepStore

FileStamp = tuple[int, int]
_NAME_LENGTH = 12


class DamagedShard(ShardDamaged):
    """A shard of the store `root` that is not what was written; `name` is short enough for people."""

    def __init__(self, root: Path, path: Path) -> None:
        self.root = root
        self.name = f"{path.parent.name}/{path.stem[:_NAME_LENGTH]}…{path.suffix}"
        super().__init__(f"{self.name}: is not what was written")


class CheckedReader(SweepReader):
    """A sweep whose shards are checked when they are read."""

    def unit(self, key: str) -> UnitReader:
        """Open one unit's shard for lazy slices. Raises DamagedShard, ShardMissing or OSError."""
        return open_checked(self.store, key)


def open_checked(store: SweepStore, key: str) -> UnitReader:
    """Open a shard, which the store checks once for each modification. Raises DamagedShard, ShardMissing or OSError."""
    try:
        return store.read(key)
    except ShardMissing:
        raise
    except ShardDamaged as error:
        raise DamagedShard(store.root, store.shard_path(key)) from error


def file_stamp(path: Path) -> FileStamp:
    """Return the modification time (ns) and the size of a file."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size
