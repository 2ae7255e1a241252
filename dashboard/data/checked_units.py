"""Shards, compared with their checksums before anything in them is shown: once for each modification of a file."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from store.errors import ShardDamaged, ShardMissing
from store.shard.reader import UnitReader
from store.sweep_reader import SweepReader
from store.sweep_store import SweepStore

FileStamp = tuple[int, int]
_MAX_CHECKED = 100_000
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
    """Open a shard whose file is as it was written. Raises DamagedShard, ShardMissing or OSError."""
    path = store.shard_path(key)
    if not _is_whole(store, str(store.root), key, file_stamp(path)):
        raise DamagedShard(store.root, path)
    try:
        return store.read(key)
    except ShardMissing:
        raise
    except ShardDamaged as error:  # whole, but of another unit or with other elements
        raise DamagedShard(store.root, path) from error


def file_stamp(path: Path) -> FileStamp:
    """Return the modification time (ns) and the size of a file."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size


@st.cache_resource(max_entries=_MAX_CHECKED, show_spinner=False)
def _is_whole(_store: SweepStore, root: str, key: str, stamp: FileStamp) -> bool:
    try:
        _store.read(key, check=True).close()
    except ShardDamaged:
        return False
    return True
