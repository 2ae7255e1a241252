"""Finding out whether a store holds what was written into it, and nothing else."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from store.errors import ShardDamaged, ShardMissing, StoreError
from store.folder.failures import read_failures
from store.folder.files import read_file
from store.folder.layout import (
    CATALOGUE,
    FAILURES,
    FILES,
    FOLDERS,
    MANIFEST,
    SHARD_FOLDERS,
    is_key,
    is_temporary,
    shard_key,
)
from store.index.catalogue import CatalogueRow, read_catalogue
from store.index.manifest import ManifestRow, read_manifest
from store.index.receipt import receipt_of
from store.records import Record
from store.shard.elements import damage_named
from store.shard.opening import open_image
from store.shard.seal import seal_digest, seal_state
from store.sweep_store import SweepStore

FindingKind = Literal["truncated", "flipped", "foreign", "stale", "unlisted", "missing", "damaged"]


class Finding(Record):
    """Something that is not as it should be: `path` is relative to the store, `detail` one line for people.

    - truncated, flipped: a shard that is shorter than, or differs from, what was written.
    - foreign: a file that is not the store's, or a shard that holds another unit than its name or the plan says.
    - stale: what the plan no longer names, shards made under other settings, leftovers of writers that died, and
      failures of units that are done.
    - unlisted: a whole shard that the manifest does not list as it is; the next driver adds it.
    - missing: a shard that the manifest lists and that is gone.
    - damaged: lines of the manifest or the catalogue.
    """

    kind: FindingKind
    path: str
    detail: str


def verify(store: SweepStore) -> list[Finding]:
    """Read every shard in full and report what is wrong, by path. Any single changed byte of a shard is found.

    While a driver runs, half-written files and shards that it did not list yet are no findings.
    """
    driven = store.driver().state == "running"
    findings = [*_strangers(store.root), *_failures(store)]
    findings += _shards(store)
    if driven:
        findings = [it for it in findings if it.kind != "unlisted" and not is_temporary(it.path)]
    return sorted(findings, key=lambda it: (it.path, it.kind, it.detail))


def _strangers(root: Path) -> Iterator[Finding]:
    """Entries that a store does not have, and leftovers; the content of `policies` and `reports` is the user's."""
    for entry in os.scandir(root):
        if entry.name in FOLDERS:
            if not entry.is_dir(follow_symlinks=False):
                yield Finding(kind="foreign", path=entry.name, detail="is not a folder, or is a link to one")
        elif entry.name in FILES:
            if not entry.is_file(follow_symlinks=False):
                yield Finding(kind="foreign", path=entry.name, detail="is not a regular file")
        else:
            yield _stranger(entry, entry.name)
    for folder in (*SHARD_FOLDERS, FAILURES):
        if (root / folder).is_symlink() or not (root / folder).is_dir():
            continue
        for entry in os.scandir(root / folder):
            ours = shard_key(entry.name) if folder != FAILURES else is_key(entry.name.removesuffix(".json"))
            if not ours or not entry.is_file(follow_symlinks=False):
                yield _stranger(entry, f"{folder}/{entry.name}")


def _stranger(entry: os.DirEntry[str], path: str) -> Finding:
    path = "".join(it if it.isprintable() else "?" for it in path)  # any bytes may stand in a file's name
    if entry.is_symlink():
        return Finding(kind="foreign", path=path, detail="is a symbolic link; a store holds regular files only")
    if is_temporary(entry.name) and entry.is_file():
        return Finding(kind="stale", path=path, detail="was left by a writer that died")
    return Finding(kind="foreign", path=path, detail="is not one of the store's files")


def _failures(store: SweepStore) -> Iterator[Finding]:
    present = store.present()
    for key in read_failures(store.root):
        path = f"{FAILURES}/{key}.json"
        if key in present:
            yield Finding(kind="stale", path=path, detail="the unit is done")
        elif key not in store.header.units:
            yield Finding(kind="stale", path=path, detail="the plan no longer names the unit")


def _shards(store: SweepStore) -> Iterator[Finding]:
    names = sorted(f"{path.parent.name}/{path.name}" for _, path in store.shards())
    manifest, bad_lines = read_manifest(store.root / MANIFEST)
    catalogue, bad_rows = read_catalogue(store.root / CATALOGUE, {})
    for file, lines in ((MANIFEST, bad_lines), (CATALOGUE, bad_rows)):
        for line in lines:
            yield Finding(
                kind="damaged", path=file, detail=f"line {line} cannot be read; the next driver puts it right"
            )
    for name in names:
        yield from _shard(store, name, manifest.get(name), catalogue)
    for name in sorted(manifest.keys() - set(names)):
        if not (store.root / name).is_file():
            yield Finding(
                kind="missing", path=name, detail="is listed in the manifest and gone; its unit will run again"
            )


def _shard(
    store: SweepStore, name: str, listed: ManifestRow | None, catalogue: Mapping[str, CatalogueRow]
) -> Iterator[Finding]:
    try:
        data = read_file(store.root / name)
    except FileNotFoundError:
        return
    except StoreError as error:
        yield Finding(kind="damaged", path=name, detail=str(error))
        return
    problem = _bytes_problem(name, data, listed)
    if problem is not None:
        yield problem
        if problem.kind != "unlisted":
            return
    # The row of a shard that was rewritten since is out of date, which is no damage.
    yield from _content(store, name, data, catalogue if problem is None else {})


def _bytes_problem(name: str, data: bytes, listed: ManifestRow | None) -> Finding | None:
    state = seal_state(data)
    if state == "whole":
        if listed is None:
            return Finding(kind="unlisted", path=name, detail="is whole, but not in the manifest")
        now = (hashlib.sha256(data).hexdigest(), seal_digest(data), len(data))
        if now != (listed.sha256, listed.seal, listed.size):
            return Finding(kind="unlisted", path=name, detail="is whole, but not the file that the manifest lists")
        return None
    if listed is not None:
        short = len(data) < listed.size
        detail = f"has {len(data)} of {listed.size} bytes" if short else "does not match the manifest's checksum"
        return Finding(kind="truncated" if short else "flipped", path=name, detail=detail)
    if state == "none":
        return Finding(kind="foreign", path=name, detail="is no shard of ours, or damaged at its beginning")
    return Finding(kind=state, path=name, detail="does not match its own checksum")


def _content(store: SweepStore, name: str, data: bytes, catalogue: Mapping[str, CatalogueRow]) -> Iterator[Finding]:
    """What the content of a whole shard disagrees with: its name, the plan, the settings, the catalogue."""
    key = str(shard_key(Path(name).name))
    try:
        with damage_named(name), open_image(data, key, name) as reader:
            row, digest = receipt_of(data, reader.unit, reader).catalogue, reader.settings_digest
    except (ShardDamaged, ShardMissing) as error:
        yield Finding(kind="foreign", path=name, detail=str(error).removeprefix(f"{name}: "))
        return
    planned = store.header.units.get(key)
    if planned is None:
        yield Finding(kind="stale", path=name, detail="the plan no longer names the unit")
    elif planned != row.unit:
        yield Finding(kind="foreign", path=name, detail="holds another unit than the plan has under this key")
    elif digest != store.header.settings_digest:
        yield Finding(kind="stale", path=name, detail="was made under other settings than the sweep's")
    if catalogue.get(key, row) != row:
        yield Finding(
            kind="damaged", path=CATALOGUE, detail=f"says otherwise than {name}; delete the catalogue, it is made again"
        )
