"""Opening a shard: its file for lazy reading, or its bytes in memory."""

from __future__ import annotations

from pathlib import Path

import h5py

from store.errors import ShardDamaged
from store.records import Unit
from store.shard.elements import translate_hdf5_errors
from store.shard.encoding import open_in_memory
from store.shard.reader import UnitReader


def open_reader(path: Path, key: str, planned: Unit | None = None) -> UnitReader:
    """Open the shard of a unit and check its structure; no array is read. Raises ShardDamaged.

    With `planned` the shard must hold that unit, so that the plan says how many conditions a read is of.
    """
    with translate_hdf5_errors(str(path)):
        # Shards never change in place, so HDF5's own locks, which some network file systems lack, are not needed.
        reader = _checked_reader(h5py.File(path, "r", locking=False), key, str(path))
    if planned is not None and reader.unit != planned:
        reader.close()
        raise ShardDamaged(f"{path}: holds another unit than the plan has under this key")
    return reader


def open_image(data: bytes, key: str, source: str) -> UnitReader:
    """Open the bytes of a complete shard, as `open_reader` opens a file; errors name `source`. Raises ShardDamaged."""
    with translate_hdf5_errors(source):
        return _checked_reader(open_in_memory(data), key, source)


def _checked_reader(file: h5py.File, key: str, source: str) -> UnitReader:
    try:
        reader = UnitReader(file, source)
        reader.check_key(key)
    except BaseException:
        file.close()
        raise
    return reader
