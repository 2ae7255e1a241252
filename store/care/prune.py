"""Removing what a sweep no longer needs: first a plan with its total, then, if that is wanted, the removal."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from store.care.verify import verify
from store.errors import DriverRunning, StoreError
from store.folder.header import read_header
from store.folder.layout import DRIVER_CLAIM, FAILURES, FOLDERS, SHARD_FOLDERS, TOKENS, is_key, is_temporary, shard_key
from store.records import Record
from store.sweep_store import SweepStore


class PruneItem(Record):
    """A file to remove: its path relative to the store, why, and its size in bytes."""

    path: str
    reason: str
    size: int


class PrunePlan(Record):
    """What a prune would remove."""

    items: tuple[PruneItem, ...]

    @property
    def total(self) -> int:
        """Bytes that would become free."""
        return sum(item.size for item in self.items)


def plan_prune(store: SweepStore, *, damaged: bool = False) -> PrunePlan:
    """What may go: leftovers of writers that died, shards and failures that the plan no longer names, failures of
    units that are done; with `damaged`, also shards that `verify` finds truncated, flipped or foreign (it reads all).

    Files that are not the store's own are never in it. Raises DriverRunning while a driver runs.
    """
    state = store.driver()
    if state.state == "running" and not store.driving:
        raise DriverRunning(f"{store.root}: is driven by {state.owner} on {state.host}; prune when it has stopped")
    reasons = dict(_leftovers(store))
    if damaged:
        for finding in verify(store):
            is_shard = shard_key(Path(finding.path).name) is not None
            if is_shard and finding.kind in ("truncated", "flipped", "foreign"):
                reasons[finding.path] = f"{finding.kind}: {finding.detail}"
    items = [PruneItem(path=path, reason=reasons[path], size=_size(store.root / path)) for path in sorted(reasons)]
    return PrunePlan(items=tuple(items))


def prune(store: SweepStore, plan: PrunePlan, *, damaged: bool = False) -> PrunePlan:
    """Remove what `plan` names and what is still to be removed; return what was. Raises DriverRunning.

    The lease is held meanwhile and the sweep read again: a plan that was extended after the question keeps its shards.
    """
    with store.drive("prune", passing=True):
        store.header = read_header(store.root)
        confirmed = {item.path: item for item in plan_prune(store, damaged=damaged).items}
        removed = [confirmed[item.path] for item in plan.items if item.path in confirmed]
        for item in removed:
            _remove(store.root, item.path)
        store.rebuild()
    return PrunePlan(items=tuple(removed))


def _leftovers(store: SweepStore) -> Iterator[tuple[str, str]]:
    root, planned, present = store.root, store.header.units, store.present()
    for folder, name in _files(root):
        path = f"{folder}/{name}" if folder else name
        key = shard_key(name) if folder in SHARD_FOLDERS else name.removesuffix(".json")
        if is_temporary(name):
            yield path, "left by a writer that died"
        elif folder == TOKENS and is_key(name):
            yield path, "a token of a driver that is gone"
        elif folder in SHARD_FOLDERS and key is not None and key not in planned:
            yield path, "the plan no longer names the unit"
        elif folder == FAILURES and key is not None and is_key(key) and (key in present or key not in planned):
            yield path, "a failure of a unit that is done or no longer planned"


def _files(root: Path) -> Iterator[tuple[str, str]]:
    """(folder, name) of the regular files in the store's folder and its own folders; links are left out."""
    for folder in ("", *FOLDERS):
        place = root / folder
        if place.is_symlink() or not place.is_dir():
            continue
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False) and entry.name != DRIVER_CLAIM:
                    yield folder, entry.name


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.lstat().st_size
    return 0


def _remove(root: Path, path: str) -> None:
    """Unlink one file. The folder is opened without following links, so nothing outside the store can be reached."""
    folder, _, name = path.rpartition("/")
    if folder not in ("", *FOLDERS) or "/" in name or name in ("", ".", ".."):
        raise StoreError(f"{path}: is outside the store and is not removed")
    descriptor = os.open(root / folder, os.O_RDONLY | os.O_DIRECTORY | (os.O_NOFOLLOW if folder else 0))
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=descriptor)
    finally:
        os.close(descriptor)
