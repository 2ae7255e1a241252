"""What the tests of faults share: comparing stores and looking for what must not be there."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from store.care.verify import verify
from store.sweep_store import SweepStore


def payloads(store: SweepStore) -> dict[str, Any]:
    """Every shard's content, each checked against its checksum."""
    found = {}
    for key in store.present():
        with store.read(key, check=True) as reader:
            found[key] = reader.payload()
    return found


def assert_same(first: Path, second: Path) -> None:
    """Both stores hold the same, bit for bit; times and provenance apart."""
    ours, theirs = (payloads(SweepStore.open(path)) for path in (first, second))
    assert ours.keys() == theirs.keys() and ours
    for key, payload in ours.items():
        other = theirs[key]
        for name in ("final", "x_t", "pred_x0"):
            assert np.array_equal(getattr(payload, name), getattr(other, name)), name
        assert payload.distances.keys() == other.distances.keys()
        assert all(np.array_equal(payload.distances[name], other.distances[name]) for name in payload.distances)
        for metric, again in zip(payload.metrics, other.metrics, strict=True):
            assert metric.info == again.info
            assert np.array_equal(metric.values, again.values, equal_nan=True)


def shards(store: Path) -> dict[str, str]:
    """A digest of every shard by its path; a store that is not there yet has none."""
    found = [path for folder in ("baselines", "units") for path in (store / folder).glob("*.h5")]
    return {f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def assert_only_leftovers(store: Path) -> None:
    """Nothing worse than temporary files of a process that died, and whole shards that it could not list any more."""
    for finding in verify(SweepStore.open(store)):
        whole = finding.kind == "unlisted" or finding.detail == "was left by a writer that died"
        assert whole, finding


def assert_complete(store: Path) -> None:
    """Everything planned is there and nothing is wrong with it."""
    opened = SweepStore.open(store)
    counts = opened.status_counts()
    assert (counts.done, counts.failed, counts.left) == (counts.planned, 0, 0)
    assert [it for it in verify(opened) if it.detail != "was left by a writer that died"] == []


def descendants(pid: int) -> list[psutil.Process]:
    """The processes that a process started, theirs too."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def alive(process: psutil.Process) -> bool:
    """Whether it runs, zombies apart."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def workers_of(pid: int) -> list[psutil.Process]:
    """The Ray workers of a sweep that hold a model."""
    found = []
    for process in descendants(pid):
        try:
            if process.name().startswith("ray::_Actor"):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found
