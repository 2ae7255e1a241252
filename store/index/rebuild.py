"""Bringing manifest and catalogue in line with the shards that are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from store.errors import ShardDamaged, ShardMissing
from store.folder.files import replace_file
from store.folder.layout import CATALOGUE, MANIFEST, SHARD_FOLDERS, shards
from store.index.catalogue import CatalogueRow, read_catalogue
from store.index.manifest import ManifestRow, read_manifest
from store.index.receipt import ShardReceipt
from store.records import Unit
from store.shard.seal import read_seal_digest


@dataclass(frozen=True, kw_only=True)
class RebuildReport:
    """What a rebuild did: shards `read` again, rows `dropped`, and the paths of `unreadable` shards in the store."""

    read: int = 0
    dropped: int = 0
    unreadable: tuple[str, ...] = ()


def rebuild_indexes(
    root: Path, units: Mapping[str, Unit], receipt: Callable[[str], ShardReceipt], *, full: bool = False
) -> RebuildReport:
    """Rewrite manifest and catalogue: one row a shard, sorted; rows of shards that are gone are dropped.

    A shard is read (through `receipt`) where a row is missing, where its size or its seal is not the manifest's, where
    the two rows disagree, and, with `full`, always. A shard that cannot be read keeps the manifest row it had, for
    `verify` to compare with. Nothing is written where nothing changes.
    """
    old_manifest, _ = read_manifest(root / MANIFEST)
    old_catalogue, _ = read_catalogue(root / CATALOGUE, units)
    manifest: dict[str, ManifestRow] = {}
    catalogue: dict[str, CatalogueRow] = {}
    read, unreadable = 0, []
    for folder in SHARD_FOLDERS:
        for key, path in shards(root, folder):
            name = f"{folder}/{path.name}"
            known, row = old_manifest.get(name), old_catalogue.get(key)
            if not full and known and row and known.sha256 == row.sha256 and _is_current(path, known):
                manifest[name], catalogue[key] = known, row
                continue
            try:
                fresh = receipt(key)
                manifest[name], catalogue[key] = fresh.manifest, fresh.catalogue
                read += 1
            except (ShardDamaged, ShardMissing):
                unreadable.append(name)
                if known:
                    manifest[name] = known
    _write(root / MANIFEST, [manifest[name].line() for name in sorted(manifest)])
    _write(root / CATALOGUE, [catalogue[key].line() for key in sorted(catalogue)])
    gone = len(old_manifest.keys() - manifest.keys()) + len(old_catalogue.keys() - catalogue.keys())
    return RebuildReport(read=read, dropped=gone, unreadable=tuple(unreadable))


def _is_current(path: Path, row: ManifestRow) -> bool:
    try:
        return path.lstat().st_size == row.size and read_seal_digest(path) == row.seal
    except FileNotFoundError:
        return False


def _write(path: Path, lines: list[str]) -> None:
    data = "".join(line + "\n" for line in lines).encode("ascii")
    if not path.is_file() or path.read_bytes() != data:
        replace_file(path, data)
