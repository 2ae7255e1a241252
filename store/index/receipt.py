"""Receipts: what the driver records of a written shard, computed from the shard's bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from store.folder.layout import shard_name
from store.index.catalogue import CatalogueRow, metric_columns
from store.index.manifest import ManifestRow
from store.metric import MetricValues
from store.records import Unit
from store.shard.elements import translate_hdf5_errors
from store.shard.opening import open_image
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


class UnitFacts(Protocol):
    """The scalars and metrics of a unit's run. UnitPayload and UnitReader both have them."""

    @property
    def steps(self) -> int: ...
    @property
    def start(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def unet_evaluations(self) -> int: ...
    @property
    def metrics(self) -> Sequence[MetricValues]: ...


def receipt_of(data: bytes, unit: Unit, facts: UnitFacts) -> ShardReceipt:
    """The receipt of a shard with the bytes `data`, whose unit and facts are known."""
    digest = hashlib.sha256(data).hexdigest()
    infos, values = metric_columns(facts.metrics)
    row = CatalogueRow(
        unit=unit,
        sha256=digest,
        steps=int(facts.steps),
        start=int(facts.start),
        seconds=float(facts.seconds),
        unet_evaluations=int(facts.unet_evaluations),
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
