"""Removing what a sweep no longer needs: a plan that lists the files, then the removal."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from store.care.verify import verify
from store.errors import DriverRunning, StoreError
from store.folder.header import read_header
from store.folder.layout import (
    ACQUISITION_LOCK,
    FAILURES,
    FOLDERS,
    SHARD_FOLDERS,
    TOKENS,
    is_key,
    is_temporary,
    shard_key,
)
from store.records import Record
from store.sweep_store import SweepStore


class PruneItem(Record):
    """A file to remove: its path relative to the store, the reason, and its size in bytes."""

    path: str
    reason: str
    size: int


class PrunePlan(Record):
    """The files that a prune would remove."""

    items: tuple[PruneItem, ...]

    @property
    def total(self) -> int:
        """Bytes that would become free."""
        return sum(item.size for item in self.items)


def plan_prune(store: SweepStore, *, damaged: bool = False) -> PrunePlan:
    """Plan to remove temporary files of writers that died, unplanned shards and failures, and failures of done units.

    With `damaged`, also the shards that `verify` reports as truncated, flipped or foreign; this reads all of them.
    Files that are not the store's are never planned. Raises DriverRunning while another driver runs.
    """
    state = store.driver()
    if state.state == "running" and not store.driving:
        raise DriverRunning(f"{store.root}: is driven by {state.owner} on {state.host}; prune when it has stopped")
    reasons = dict(_leftovers(store))
    if damaged:
        for problem in verify(store):
            is_shard = shard_key(Path(problem.path).name) is not None
            if is_shard and problem.kind in ("truncated", "flipped", "foreign"):
                reasons[problem.path] = f"{problem.kind}: {problem.detail}"
    items = [PruneItem(path=path, reason=reasons[path], size=_size(store.root / path)) for path in sorted(reasons)]
    return PrunePlan(items=tuple(items))


def prune(store: SweepStore, plan: PrunePlan, *, damaged: bool = False) -> PrunePlan:
    """Remove the files of `plan` that a new plan names, too, and return those. Raises DriverRunning.

    The new plan is made under the lease, from the header on disk: what was planned again since is kept.
    """
    with store.drive("prune", maintenance=True):
        store.header = read_header(store.root)
        confirmed = {item.path: item for item in plan_prune(store, damaged=damaged).items}
        removed = [confirmed[item.path] for item in plan.items if item.path in confirmed]
        for item in removed:
            _remove(store.root, item.path)
        store.rebuild()
    return PrunePlan(items=tuple(removed))


def _leftovers(store: SweepStore) -> Iterator[tuple[str, str]]:
    """(path, reason) of the files that are no longer needed."""
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
    """(folder, name) of the regular files in the store's folder ("") and its subfolders; links are left out."""
    for folder in ("", *FOLDERS):
        path = root / folder
        if path.is_symlink() or not path.is_dir():
            continue
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False) and entry.name != ACQUISITION_LOCK:
                    yield folder, entry.name


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.lstat().st_size
    return 0


def _remove(root: Path, path: str) -> None:
    """Unlink one file. Its folder is opened without following links, so that nothing outside the store is removed."""
    folder, _, name = path.rpartition("/")
    if folder not in ("", *FOLDERS) or "/" in name or name in ("", ".", ".."):
        raise StoreError(f"{path}: is outside the store and is not removed")
    descriptor = os.open(root / folder, os.O_RDONLY | os.O_DIRECTORY | (os.O_NOFOLLOW if folder else 0))
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=descriptor)
    finally:
        os.close(descriptor)
