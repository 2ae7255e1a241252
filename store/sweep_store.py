"""A sweep's folder: created, opened, and kept by one driver."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from store.driver import folder_token
from store.driver.driver_state import DriverState, driver_state
from store.driver.lease import HEARTBEAT_SECONDS, Lease
from store.errors import NotASweep, ShardDamaged, ShardMissing
from store.folder.failures import Failure, read_failures, remove_failure, write_failure
from store.folder.files import append_line, create_file, free_bytes, replace_file, sync_folder
from store.folder.header import SweepHeader, encode_header, read_header
from store.folder.layout import CATALOGUE, FOLDERS, HEADER, MANIFEST, checked_key, is_temporary, real_folder, shard_name
from store.index.catalogue import CatalogueRow, read_catalogue
from store.index.manifest import read_manifest
from store.index.rebuild import RebuildReport, rebuild_indexes
from store.index.receipt import ShardReceipt
from store.paths import expanded
from store.records import Record
from store.shard_store import ShardStore


class StatusCounts(Record):
    """How far a sweep is: `planned` = `done` + `failed` + `left`; `unplanned` shards are of units not in the plan."""

    planned: int
    done: int
    failed: int
    left: int
    unplanned: int


class SweepStore(ShardStore):
    """A sweep's folder. Make one with `create` or `open`.

    The driver enters `drive`; it alone calls `record`, `record_failure`, `extend` and `rebuild`. The methods of
    ShardStore are for any process. `last_rebuild` is the report of the last `rebuild`, which `drive` starts with.
    """

    def __init__(self, root: Path, header: SweepHeader) -> None:
        super().__init__(root, header)
        self.last_rebuild = RebuildReport()
        self._lease: Lease | None = None

    @classmethod
    def create(cls, path: str | os.PathLike[str], header: SweepHeader) -> SweepStore:
        """Create a store in a new or empty folder. Raises NotASweep for any other path, StoreFull."""
        root = expanded(path).absolute()
        data = encode_header(header)
        try:
            # A process that died while it created this store may have left folders and a temporary header.
            if root.exists() and {name for name in os.listdir(root) if not is_temporary(name)} - set(FOLDERS):
                raise NotASweep(f"{root}: is not empty; a new sweep needs an empty folder, or one that does not exist")
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
        root = expanded(path).absolute()
        return cls(root, read_header(root))

    def extend(self, header: SweepHeader) -> None:
        """Replace the header atomically, and remove the failures of units that are no longer planned.

        Shards stay, also those no longer planned. Raises StoreError, StoreFull.
        """
        replace_file(self.root / HEADER, encode_header(header))
        self.header = header
        for key in self.failures().keys() - header.units.keys():
            remove_failure(self.root, key)

    # Manifest and catalogue

    def record(self, receipt: ShardReceipt) -> None:
        """Append a shard to manifest and catalogue, durably, and remove its unit's failure. Raises StoreFull."""
        append_line(self.root / MANIFEST, receipt.manifest.line())
        append_line(self.root / CATALOGUE, receipt.catalogue.line())
        remove_failure(self.root, receipt.key)

    def catalogue(self) -> dict[str, CatalogueRow]:
        """The catalogue row of each stored shard, by key; a shard without a row is opened to make one.

        A shard that cannot be read is left out; `verify` names it.
        """
        rows = self._whole_rows()
        present = self.present()
        for key in present - rows.keys():
            try:
                rows[key] = self.receipt(key).catalogue
            except (ShardDamaged, ShardMissing):
                continue
        return {key: row for key, row in rows.items() if key in present}

    def _whole_rows(self) -> dict[str, CatalogueRow]:
        """The catalogue's rows. Where a line is damaged, one before it may be out of date: the manifest says which."""
        catalogue = read_catalogue(self.root / CATALOGUE, self.header.units)
        rows = catalogue.rows
        if not catalogue.damaged and not catalogue.unfinished:
            return rows
        listed, _ = read_manifest(self.root / MANIFEST)
        digests = {key: listed.get(shard_name(row.unit.role, key)) for key, row in rows.items()}
        return {key: row for key, row in rows.items() if (own := digests[key]) and own.sha256 == row.sha256}

    def rebuild(self) -> RebuildReport:
        """Bring manifest and catalogue in line with the shards. Raises DriverRunning if another process drives."""
        with nullcontext() if self.driving else Lease(self.root, "rebuild", maintenance=True):
            self.last_rebuild = rebuild_indexes(self.root, self.header.units, self.receipt)
        return self.last_rebuild

    # Failures and progress

    def record_failure(
        self, key: str, reason: str, *, attempts: int = 1, where: str = "", details: str = ""
    ) -> Failure:
        """Write that a unit failed, in place of an earlier failure of the same unit. Raises StoreFull."""
        failure = Failure(
            key=checked_key(key), reason=reason, attempts=attempts, where=where or socket.gethostname(), details=details
        )
        write_failure(self.root, failure)
        return failure

    def failures(self) -> dict[str, Failure]:
        """The failed units by key."""
        return read_failures(self.root)

    def status_counts(self) -> StatusCounts:
        """How many of the planned units are done, failed and left."""
        planned, present = self.header.units.keys(), self.present()
        done = planned & present
        failed = (planned & self.failures().keys()) - done
        left = len(planned) - len(done) - len(failed)
        return StatusCounts(
            planned=len(planned), done=len(done), failed=len(failed), left=left, unplanned=len(present - planned)
        )

    def free_bytes(self) -> int:
        """Free bytes on the store's file system."""
        return free_bytes(self.root)

    # The driver

    @contextmanager
    def drive(
        self, owner: str, *, heartbeat_seconds: float = HEARTBEAT_SECONDS, maintenance: bool = False
    ) -> Iterator[Lease]:
        """Hold the store as its one driver. On entering, manifest and catalogue are brought in line with the shards.

        With `maintenance`, `driver` afterwards still describes the driver before this one. Raises DriverRunning if
        another driver is alive.
        """
        with Lease(self.root, owner, heartbeat_seconds=heartbeat_seconds, maintenance=maintenance) as lease:
            self._lease = lease
            try:
                self.rebuild()
                yield lease
            finally:
                self._lease = None

    @property
    def driving(self) -> bool:
        """Whether this object holds the lease."""
        return self._lease is not None

    def driver(self) -> DriverState:
        """Who drives the store now, or drove it last. Raises StoreError if `driver.json` is damaged."""
        return driver_state(self.root)

    def new_token(self) -> str:
        """Write a token file into the folder and return its name, which workers pass to `sees_token`."""
        return folder_token.new_token(self.root)

    def sees_token(self, name: str) -> bool:
        """Whether the folder, as this process sees it, holds that token file: whether it is the driver's folder."""
        return folder_token.sees_token(self.root, name)
