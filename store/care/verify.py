"""Checking that a store holds exactly what was written into it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from store.care.verify_documents import document_problems
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
from store.shard.elements import translate_hdf5_errors
from store.shard.opening import open_image
from store.shard.seal import SHARD_LIMIT, seal_digest, seal_state
from store.sweep_store import SweepStore

ProblemKind = Literal["truncated", "flipped", "foreign", "stale", "unlisted", "missing", "damaged"]


class Problem(Record):
    """Something that is wrong in a store: `path` is relative to the store, `detail` one line for the user.

    - truncated, flipped: a shard that is shorter than what was written, or differs from it.
    - foreign: a file that is not the store's, or a shard that holds another unit than its name or the plan says.
    - stale: a shard or failure that the plan no longer names, a shard made under other settings, a temporary file of a
      writer that died, or a failure of a unit that is done.
    - unlisted: a complete shard that the manifest lacks or lists otherwise; the next driver lists it.
    - missing: a shard that the manifest lists and that does not exist.
    - damaged: lines of the manifest or the catalogue; a policy, report or picture that differs from what was written.
    """

    kind: ProblemKind
    path: str
    detail: str


def verify(store: SweepStore) -> list[Problem]:
    """Read every file in full and return what is wrong, sorted by path. Any changed byte of a shard is noticed.

    So is a changed value in a line of the manifest or the catalogue, in a policy, a report and a picture, unless an
    earlier release wrote it (then it has no digest) or, of JSON, the bytes mean the same.

    While a driver runs, temporary files and shards that it has not listed yet are left out.
    """
    driven = store.driver().state == "running"
    problems = [*_unexpected_entries(store.root), *_outdated_failures(store), *_shard_problems(store)]
    problems += [Problem(kind="damaged", path=path, detail=detail) for path, detail in document_problems(store.root)]
    if driven:
        problems = [problem for problem in problems if problem.kind != "unlisted" and not is_temporary(problem.path)]
    return sorted(problems, key=lambda problem: (problem.path, problem.kind, problem.detail))


def _unexpected_entries(root: Path) -> Iterator[Problem]:
    """Entries that a store does not have. What `policies` and `reports` contain is the user's."""
    for entry in os.scandir(root):
        if entry.name in FOLDERS:
            if not entry.is_dir(follow_symlinks=False):
                yield Problem(kind="foreign", path=entry.name, detail="is not a folder, or is a link to one")
        elif entry.name in FILES:
            if not entry.is_file(follow_symlinks=False):
                yield Problem(kind="foreign", path=entry.name, detail="is not a regular file")
        else:
            yield _unexpected_entry(entry, entry.name)
    for folder in (*SHARD_FOLDERS, FAILURES):
        if (root / folder).is_symlink() or not (root / folder).is_dir():
            continue
        for entry in os.scandir(root / folder):
            named = shard_key(entry.name) if folder != FAILURES else is_key(entry.name.removesuffix(".json"))
            if not named or not entry.is_file(follow_symlinks=False):
                yield _unexpected_entry(entry, f"{folder}/{entry.name}")


def _unexpected_entry(entry: os.DirEntry[str], path: str) -> Problem:
    path = "".join(character if character.isprintable() else "?" for character in path)
    if entry.is_symlink():
        return Problem(kind="foreign", path=path, detail="is a symbolic link; a store holds regular files only")
    if is_temporary(entry.name) and entry.is_file():
        return Problem(kind="stale", path=path, detail="was left by a writer that died")
    return Problem(kind="foreign", path=path, detail="is not one of the store's files")


def _outdated_failures(store: SweepStore) -> Iterator[Problem]:
    present = store.present()
    for key in read_failures(store.root):
        path = f"{FAILURES}/{key}.json"
        if key in present:
            yield Problem(kind="stale", path=path, detail="the unit is done")
        elif key not in store.header.units:
            yield Problem(kind="stale", path=path, detail="the plan no longer names the unit")


def _shard_problems(store: SweepStore) -> Iterator[Problem]:
    """Problems of the shards, the manifest and the catalogue."""
    names = sorted(f"{path.parent.name}/{path.name}" for _, path in store.shards())
    manifest, manifest_lines = read_manifest(store.root / MANIFEST)
    catalogue, catalogue_lines, *_ = read_catalogue(store.root / CATALOGUE, {})
    for file, damaged_lines in ((MANIFEST, manifest_lines), (CATALOGUE, catalogue_lines)):
        for line in damaged_lines:
            detail = f"line {line} cannot be read; the next driver puts it right"
            yield Problem(kind="damaged", path=file, detail=detail)
    for name in names:
        yield from _problems_of_shard(store, name, manifest.get(name), catalogue)
    for name in sorted(manifest.keys() - set(names)):
        if not (store.root / name).is_file():
            detail = "is listed in the manifest and gone; its unit will run again"
            yield Problem(kind="missing", path=name, detail=detail)


def _problems_of_shard(
    store: SweepStore, name: str, listed: ManifestRow | None, catalogue: Mapping[str, CatalogueRow]
) -> Iterator[Problem]:
    try:
        data = read_file(store.root / name, SHARD_LIMIT)
    except FileNotFoundError:
        return
    except StoreError as error:
        yield Problem(kind="foreign", path=name, detail=str(error).removeprefix(f"{store.root / name}: "))
        return
    problem = _problem_of_bytes(name, data, listed)
    if problem is not None:
        yield problem
        if problem.kind != "unlisted":
            return
    # The catalogue's row of an unlisted shard is out of date, but not damaged.
    yield from _problems_of_content(store, name, data, catalogue if problem is None else {})


def _problem_of_bytes(name: str, data: bytes, listed: ManifestRow | None) -> Problem | None:
    """What the bytes of a shard disagree with: their own seal, or the manifest."""
    state = seal_state(data)
    if state == "whole":
        if listed is None:
            return Problem(kind="unlisted", path=name, detail="is whole, but not in the manifest")
        actual = (hashlib.sha256(data).hexdigest(), seal_digest(data), len(data))
        if actual != (listed.sha256, listed.seal, listed.size):
            return Problem(kind="unlisted", path=name, detail="is whole, but not the file that the manifest lists")
        return None
    if listed is not None:
        short = len(data) < listed.size
        detail = f"has {len(data)} of {listed.size} bytes" if short else "does not match the manifest's checksum"
        return Problem(kind="truncated" if short else "flipped", path=name, detail=detail)
    if state == "none":
        return Problem(kind="foreign", path=name, detail="is not a shard, or is damaged at its beginning")
    return Problem(kind=state, path=name, detail="does not match its own checksum")


def _problems_of_content(
    store: SweepStore, name: str, data: bytes, catalogue: Mapping[str, CatalogueRow]
) -> Iterator[Problem]:
    """What the content of a complete shard disagrees with: its name, the plan, the settings, the catalogue."""
    key = str(shard_key(Path(name).name))
    try:
        with translate_hdf5_errors(name), open_image(data, key, name) as reader:
            row, digest = receipt_of(data, reader.unit, reader).catalogue, reader.settings_digest
    except (ShardDamaged, ShardMissing) as error:
        yield Problem(kind="foreign", path=name, detail=str(error).removeprefix(f"{name}: "))
        return
    planned = store.header.units.get(key)
    if planned is None:
        yield Problem(kind="stale", path=name, detail="the plan no longer names the unit")
    elif planned != row.unit:
        yield Problem(kind="foreign", path=name, detail="holds another unit than the plan has under this key")
    elif digest != store.header.settings_digest:
        yield Problem(kind="stale", path=name, detail="was made under other settings than the sweep's")
    if catalogue.get(key, row) != row:
        detail = f"differs from {name}; delete the catalogue, the next driver makes it again"
        yield Problem(kind="damaged", path=CATALOGUE, detail=detail)
