"""Bringing manifest and catalogue in line with the shards in the folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from store.errors import ShardDamaged, ShardMissing
from store.folder.files import replace_file
from store.folder.layout import CATALOGUE, MANIFEST, SHARD_FOLDERS, shards
from store.index.catalogue import CatalogueRow, read_catalogue
from store.index.json_lines import CHECKED
from store.index.manifest import ManifestRow, read_manifest
from store.index.receipt import ShardReceipt
from store.records import Unit
from store.shard.seal import size_and_seal_digest

Row = ManifestRow | CatalogueRow


@dataclass(frozen=True, kw_only=True)
class RebuildReport:
    """What a rebuild did: the number of shards `read` again and of rows `dropped`, and the paths of `unreadable` shards
    relative to the store."""

    read: int = 0
    dropped: int = 0
    unreadable: tuple[str, ...] = ()


def rebuild_indexes(
    root: Path, units: Mapping[str, Unit], read_receipt: Callable[[str], ShardReceipt]
) -> RebuildReport:
    """Rewrite manifest and catalogue with one row for each shard, sorted; rows without a shard are dropped.

    A shard is read if a row is missing or has no digest, if its size or seal differs from the manifest's, or if the two
    rows disagree. A shard that cannot be read keeps its manifest row, so that `verify` can compare. Files that hold
    just these rows are not written.
    """
    old_manifest, _ = read_manifest(root / MANIFEST)
    old = read_catalogue(root / CATALOGUE, units)
    manifest: dict[str, ManifestRow] = {}
    catalogue: dict[str, CatalogueRow] = {}
    read, unreadable = 0, []
    for folder in SHARD_FOLDERS:
        for key, path in shards(root, folder):
            name = f"{folder}/{path.name}"
            listed, row = old_manifest.get(name), None if key in old.unchecked else old.rows.get(key)
            if listed and row and listed.sha256 == row.sha256 and _is_current(path, listed):
                manifest[name], catalogue[key] = listed, row
                continue
            try:
                receipt = read_receipt(key)
                manifest[name], catalogue[key] = receipt.manifest, receipt.catalogue
                read += 1
            except (ShardDamaged, ShardMissing):
                unreadable.append(name)
                if listed:
                    manifest[name] = listed
    _write_rows(root / MANIFEST, manifest, old_manifest)
    _write_rows(root / CATALOGUE, catalogue, old.rows)
    dropped = len(old_manifest.keys() - manifest.keys()) + len(old.rows.keys() - catalogue.keys())
    return RebuildReport(read=read, dropped=dropped, unreadable=tuple(unreadable))


def _is_current(path: Path, row: ManifestRow) -> bool:
    try:
        return size_and_seal_digest(path) == (row.size, row.seal)
    except OSError:  # it is read in full, which says what is wrong with it
        return False


def _write_rows(path: Path, rows: Mapping[str, Row], old: Mapping[str, Row]) -> None:
    """Write the rows, sorted, unless the file holds just these: making their text again takes a third of a resume."""
    same = list(old) == sorted(rows) and all(rows[name] is old[name] for name in rows)
    if same and path.is_file() and _are_checked_lines(path.read_bytes(), len(rows)):
        return
    replace_file(path, "".join(rows[name].line() + "\n" for name in sorted(rows)).encode("ascii"))


def _are_checked_lines(data: bytes, count: int) -> bool:
    """Return whether a file has just so many lines, damaged ones counted, each whole and with a digest."""
    if not data:
        return count == 0
    checked = data.startswith(CHECKED) + data.count(b"\n" + CHECKED)
    return data.endswith(b"\n") and data.count(b"\n") == checked == count
