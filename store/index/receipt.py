"""Receipts: what the driver records of a written shard, computed from the shard's bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from store.folder.layout import shard_name
from store.index.catalogue import CatalogueRow, metric_columns
from store.index.manifest import ManifestRow
from store.records import Unit
from store.shard.elements import translate_hdf5_errors
from store.shard.opening import open_image
from store.shard.payload import UnitPayload
from store.shard.reader import UnitReader
from store.shard.seal import seal_digest


@dataclass(frozen=True, kw_only=True)
class ShardReceipt:
    """The manifest row and the catalogue row of a shard. A worker returns it, so the driver need not open the file."""

    manifest: ManifestRow
    catalogue: CatalogueRow

    @property
    def key(self) -> str:
        """The unit's key."""
        return self.catalogue.key


def receipt_of(data: bytes, unit: Unit, result: UnitPayload | UnitReader) -> ShardReceipt:
    """The receipt of a unit's shard with the bytes `data` and the content `result`."""
    digest = hashlib.sha256(data).hexdigest()
    infos, values = metric_columns(result.metrics)
    row = CatalogueRow(
        unit=unit,
        sha256=digest,
        steps=int(result.steps),
        start=int(result.start),
        seconds=float(result.seconds),
        unet_evaluations=int(result.unet_evaluations),
        infos=infos,
        values=values,
    )
    manifest = ManifestRow(
        path=shard_name(unit.role, unit.key), sha256=digest, seal=str(seal_digest(data)), size=len(data)
    )
    return ShardReceipt(manifest=manifest, catalogue=row)


def read_receipt(data: bytes, key: str, source: str) -> ShardReceipt:
    """The receipt of the unit `key` from the bytes of its complete shard; errors name `source`. Raises ShardDamaged."""
    with translate_hdf5_errors(source), open_image(data, key, source) as reader:
        return receipt_of(data, reader.unit, reader)
