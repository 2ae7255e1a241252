"""A sweep's folder: opened, written by workers, driven by one driver, and read by everyone."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from store.driver import folder_token
from store.driver.lease import HEARTBEAT_SECONDS, DriverState, Lease, driver_state
from store.errors import NotASweep, ShardDamaged, ShardMissing
from store.folder.failures import Failure, read_failures, remove_failure, write_failure
from store.folder.files import append_line, create_file, free_bytes, replace_file, sync_folder
from store.folder.header import SweepHeader, encode_header, read_header
from store.folder.layout import (
    CATALOGUE,
    FOLDERS,
    HEADER,
    MANIFEST,
    SHARD_FOLDERS,
    checked_key,
    is_temporary,
    real_folder,
    shard_folder,
    shard_name,
    shards,
)
from store.index.catalogue import CatalogueRow, read_catalogue
from store.index.rebuild import RebuildReport, rebuild_indexes
from store.metric import MetricValues
from store.records import Record, Role, Unit
from store.shard.elements import damage_named
from store.shard.encoding import add_metrics_to, encode_shard, receipt_of
from store.shard.opening import open_reader, receipt_from
from store.shard.payload import ShardReceipt, UnitPayload, check_metrics, check_payload
from store.shard.reader import UnitReader
from store.shard.seal import read_sealed


class StatusCounts(Record):
    """How far a sweep is: `planned` = `done` + `failed` + `left`; the plan names no `unplanned` shard any more."""

    planned: int
    done: int
    failed: int
    left: int
    unplanned: int


class SweepStore:
    """A sweep store at `root`. Make one with `create` or `open`.

    Workers call `write` and `read`; they need no lock. The driver enters `drive` and alone calls `record`, `extend`
    and `rebuild`.
    """

    def __init__(self, root: Path, header: SweepHeader) -> None:
        self.root = root
        self.header = header
        self._lease: Lease | None = None

    @classmethod
    def create(cls, path: str | os.PathLike[str], header: SweepHeader) -> SweepStore:
        """Make a store in a folder that is empty or not there yet. Raises NotASweep for any other, StoreFull."""
        root = Path(path).absolute()
        data = encode_header(header)
        try:
            # A maker that died may have left folders and its half-written header.
            if root.exists() and {name for name in os.listdir(root) if not is_temporary(name)} - set(FOLDERS):
                raise NotASweep(
                    f"{root}: is not empty; a new sweep needs an empty folder, or one that is not there yet"
                )
            for name in FOLDERS:
                real_folder(root, name).mkdir(parents=True, exist_ok=True)
            sync_folder(root)
        except OSError as error:
            raise NotASweep(f"{root}: a sweep cannot be made here: {error.strerror}") from error
        if not create_file(root / HEADER, data):
            raise NotASweep(f"{root}: another process made a sweep here just now; open that one")
        return cls(root, header)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> SweepStore:
        """Open a store. Raises NotASweep, NewerFormat or SweepDamaged."""
        root = Path(path).absolute()
        return cls(root, read_header(root))

    def extend(self, header: SweepHeader) -> None:
        """Replace config, settings, plan and provenance atomically; shards stay, also those no longer planned."""
        replace_file(self.root / HEADER, encode_header(header))
        self.header = header

    def free_bytes(self) -> int:
        """Bytes that may still be written."""
        return free_bytes(self.root)

    # Shards

    def present(self, role: Role | None = None) -> set[str]:
        """Keys of the shards that are there whole, planned or not; with a role, of the planned ones of that role."""
        folders = SHARD_FOLDERS if role is None else (shard_folder(role),)
        keys = {key for folder in folders for key, _ in shards(self.root, folder)}
        if role is None:
            return keys
        return {key for key in keys if (unit := self.header.units.get(key)) is not None and unit.role == role}

    def shards(self) -> Iterator[tuple[str, Path]]:
        """(key, path) of every shard that is there under its final name."""
        for folder in SHARD_FOLDERS:
            yield from shards(self.root, folder)

    def write(self, unit: Unit, payload: UnitPayload) -> ShardReceipt:
        """Write a unit's shard: whole and durable under its name when this returns, else not there.

        If a whole shard of that key is there already (a worker thought dead was only slow), that one stays and its
        receipt is returned. Raises PayloadError, StoreFull or StoreError.
        """
        check_payload(unit, payload)
        path = self._path(shard_name(unit.role, unit.key))
        data = encode_shard(unit, payload, self.header.settings_digest)
        if not create_file(path, data):
            try:
                return self.receipt(unit.key)
            except (ShardDamaged, ShardMissing):
                replace_file(path, data)
        return receipt_of(data, unit, payload)

    def read(self, key: str, *, check: bool = False) -> UnitReader:
        """Open a shard for lazy reading; with `check`, compare the whole file with its checksum first.

        Raises ShardMissing or ShardDamaged.
        """
        path = self.shard_path(key)
        if check:
            read_sealed(path)
        return open_reader(path, key)

    def receipt(self, key: str) -> ShardReceipt:
        """The receipt of a shard that is there, after checking the whole of it. Raises ShardMissing, ShardDamaged."""
        path = self.shard_path(key)
        return receipt_from(read_sealed(path), key, str(path))

    def add_metrics(self, key: str, metrics: Sequence[MetricValues]) -> ShardReceipt:
        """Add metrics to a shard, or replace those of the same name; a crash leaves the old shard whole.

        Returns the new receipt for `record`. Raises PayloadError, ShardMissing, ShardDamaged or StoreFull.
        """
        path = self.shard_path(key)
        with self.read(key) as reader:
            check_metrics(tuple(metrics), len(reader.unit.conditions))
        data = read_sealed(path)
        with damage_named(str(path)):
            changed = add_metrics_to(data, metrics)
        replace_file(path, changed)
        return self.receipt(key)

    def discard(self, key: str) -> None:
        """Remove a shard, so that its unit runs again. The driver's, for a shard found damaged."""
        self.shard_path(key).unlink(missing_ok=True)

    def shard_path(self, key: str) -> Path:
        """Where the shard of a key lies. Raises ShardMissing, and StoreError for what is no key."""
        for folder in SHARD_FOLDERS:
            path = self._path(f"{folder}/{checked_key(key)}.h5")
            if path.is_symlink():
                raise ShardDamaged(f"{path}: is a symbolic link; a store holds regular files only")
            if path.is_file():
                return path
        raise ShardMissing(f"{self.root}: holds no shard of unit {key}")

    def _path(self, name: str) -> Path:
        folder, _, file = name.partition("/")
        return real_folder(self.root, folder) / file

    # What the driver keeps

    def record(self, receipt: ShardReceipt) -> None:
        """Append a written shard to manifest and catalogue, durably; forget its unit's failure. Raises StoreFull."""
        append_line(self.root / MANIFEST, receipt.manifest.line())
        append_line(self.root / CATALOGUE, receipt.catalogue.line())
        remove_failure(self.root, receipt.key)

    def catalogue(self) -> dict[str, CatalogueRow]:
        """A row for each shard that is there, by key; a shard that the catalogue lacks is opened for it.

        A shard that cannot be read is left out: `verify` names it.
        """
        rows, _ = read_catalogue(self.root / CATALOGUE, self.header.units)
        present = self.present()
        for key in present - rows.keys():
            try:
                rows[key] = self.receipt(key).catalogue
            except (ShardDamaged, ShardMissing):
                continue
        return {key: row for key, row in rows.items() if key in present}

    def rebuild(self, *, full: bool = False) -> RebuildReport:
        """Bring manifest and catalogue in line with the shards; with `full`, read every shard again.

        Raises DriverRunning if somebody else drives the store.
        """
        with nullcontext() if self.driving else Lease(self.root, "rebuild", passing=True):
            return rebuild_indexes(self.root, self.header.units, self.receipt, full=full)

    def record_failure(
        self, key: str, reason: str, *, attempts: int = 1, where: str = "", details: str = ""
    ) -> Failure:
        """Note that a unit failed; a later call for the same key replaces it."""
        failure = Failure(
            key=checked_key(key), reason=reason, attempts=attempts, where=where or socket.gethostname(), details=details
        )
        write_failure(self.root, failure)
        return failure

    def failures(self) -> dict[str, Failure]:
        """The failed units by key."""
        return read_failures(self.root)

    def clear_failure(self, key: str) -> None:
        """Forget a unit's failure, so that it is tried again."""
        remove_failure(self.root, key)

    def status_counts(self) -> StatusCounts:
        """How many of the planned units are done, failed and left."""
        planned, present = self.header.units.keys(), self.present()
        done = planned & present
        failed = (planned & self.failures().keys()) - done
        left = len(planned) - len(done) - len(failed)
        return StatusCounts(
            planned=len(planned), done=len(done), failed=len(failed), left=left, unplanned=len(present - planned)
        )

    # The driver and its workers

    @contextmanager
    def drive(
        self, owner: str, *, heartbeat_seconds: float = HEARTBEAT_SECONDS, passing: bool = False
    ) -> Iterator[Lease]:
        """Hold the store as its one driver; on entering, what a driver that died left undone is put right.

        `passing` is for maintenance: `driver` then goes on telling of the driver before. Raises DriverRunning where
        another one lives.
        """
        with Lease(self.root, owner, heartbeat_seconds=heartbeat_seconds, passing=passing) as lease:
            self._lease = lease
            try:
                self.rebuild()
                yield lease
            finally:
                self._lease = None

    @property
    def driving(self) -> bool:
        """Whether this very object holds the lease."""
        return self._lease is not None

    def driver(self) -> DriverState:
        """Who drives the store now."""
        return driver_state(self.root)

    def new_token(self) -> str:
        """Leave a fresh file that only a process on this very folder can see; returns what to hand to workers."""
        return folder_token.new_token(self.root)

    def sees_token(self, name: str) -> bool:
        """Whether this process's folder is the one in which the driver left that token."""
        return folder_token.sees_token(self.root, name)
