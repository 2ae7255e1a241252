"""Opening a shard: from its file for lazy slices, or from its bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from store.shard.elements import damage_named
from store.shard.encoding import image_in_memory
from store.shard.reader import UnitReader
from store.shard.seal import SEAL_SIZE


def open_reader(path: Path, key: str) -> UnitReader:
    """Open the shard of a unit and check its structure; nothing large is read. Raises ShardDamaged."""
    with damage_named(str(path)):
        # Shards never change in place, so HDF5's own locks, which some network file systems lack, are not needed.
        file = h5py.File(path, "r", locking=False)
        try:
            reader = UnitReader(file, str(path))
            reader.check_key(key)
        except BaseException:
            file.close()
            raise
        return reader


@contextmanager
def open_image(data: bytes, key: str, where: str) -> Iterator[UnitReader]:
    """Read a whole shard from its bytes. Raises ShardDamaged."""
    with damage_named(where), image_in_memory(data[SEAL_SIZE:]) as file:
        reader = UnitReader(file, where)
        reader.check_key(key)
        yield reader
