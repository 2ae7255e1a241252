"""The shards of a sweep: what workers read and write. No lock is needed for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from store.errors import ShardDamaged, ShardMissing
from store.folder.files import create_file, replace_file
from store.folder.header import SweepHeader
from store.folder.layout import SHARD_FOLDERS, checked_key, real_folder, shard_folder, shard_name, shards
from store.index.receipt import ShardReceipt, read_receipt, receipt_of
from store.metric import MetricValues
from store.records import Role, Unit
from store.shard.elements import translate_hdf5_errors
from store.shard.encoding import add_metrics_to, encode_shard
from store.shard.opening import open_image, open_reader
from store.shard.payload import UnitPayload, check_metrics, check_payload
from store.shard.reader import UnitReader
from store.shard.seal import check_sealed, read_sealed


class ShardStore:
    """The shards in a sweep's folder `root`, one for each finished unit of the plan in `header`.

    A shard is always complete under its final name: it is written to a temporary file and linked or renamed. So any
    number of processes may read and write at the same time.
    """

    def __init__(self, root: Path, header: SweepHeader) -> None:
        self.root = root
        self.header = header

    def present(self, role: Role | None = None) -> set[str]:
        """Keys of the stored shards, planned or not; with a role, only those of planned units of that role."""
        folders = SHARD_FOLDERS if role is None else (shard_folder(role),)
        keys = {key for folder in folders for key, _ in shards(self.root, folder)}
        if role is None:
            return keys
        return {key for key in keys if (unit := self.header.units.get(key)) is not None and unit.role == role}

    def shards(self) -> Iterator[tuple[str, Path]]:
        """(key, path) of every stored shard."""
        for folder in SHARD_FOLDERS:
            yield from shards(self.root, folder)

    def shard_path(self, key: str) -> Path:
        """The path of a unit's shard. Raises ShardMissing, ShardDamaged for a link, StoreError for an invalid key."""
        for folder in SHARD_FOLDERS:
            path = real_folder(self.root, folder) / f"{checked_key(key)}.h5"
            if path.is_symlink():
                raise ShardDamaged(f"{path}: is a symbolic link; a store holds regular files only")
            if path.is_file():
                return path
        raise ShardMissing(f"{self.root}: holds no shard of unit {key}")

    def write(self, unit: Unit, payload: UnitPayload) -> ShardReceipt:
        """Write a unit's shard: when this returns it is complete and durable, and when it raises there is none.

        An existing complete shard of the same key is kept and its receipt returned: a worker that was taken for dead
        may have been slow. Raises PayloadError, StoreFull or StoreError.
        """
        check_payload(unit, payload)
        folder, _, file = shard_name(unit.role, unit.key).partition("/")
        path = real_folder(self.root, folder) / file
        data = encode_shard(unit, payload, self.header.settings_digest)
        if not create_file(path, data):
            try:
                return self.receipt(unit.key)
            except (ShardDamaged, ShardMissing):
                replace_file(path, data)
        return receipt_of(data, unit, payload)

    def read(self, key: str, *, check: bool = False) -> UnitReader:
        """Open a shard for lazy reading.

        The whole file is compared with its checksum before: once after each change of the file, with `check` always.
        Raises ShardMissing or ShardDamaged.
        """
        path = self.shard_path(key)
        if check:
            read_sealed(path)
        else:
            check_sealed(path)
        return open_reader(path, key, self.header.units.get(key))

    def receipt(self, key: str) -> ShardReceipt:
        """The receipt of a stored shard, which is read and checked in full. Raises ShardMissing or ShardDamaged."""
        path = self.shard_path(key)
        return read_receipt(read_sealed(path), key, str(path))

    def add_metrics(self, key: str, compute: Callable[[UnitReader], Sequence[MetricValues]]) -> ShardReceipt:
        """Add the metrics that `compute` returns to a shard, in place of those of the same name.

        The file is read once, in full, and checked; `compute` gets a reader of these bytes. The new shard replaces the
        old one atomically. Returns the new receipt for `record`. Raises PayloadError, ShardMissing, ShardDamaged,
        StoreFull, and what `compute` raises.
        """
        path = self.shard_path(key)
        data = read_sealed(path)
        with open_image(data, key, str(path)) as reader:
            metrics = tuple(compute(reader))
            check_metrics(metrics, len(reader.unit.conditions))
        with translate_hdf5_errors(str(path)):
            changed = add_metrics_to(data, metrics)
        replace_file(path, changed)
        return read_receipt(changed, key, str(path))

    def discard(self, key: str) -> None:
        """Remove a shard, so that its unit is run again. Only the driver does this, with a damaged shard."""
        self.shard_path(key).unlink(missing_ok=True)
