"""Compares stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from store.shard.payload import UnitPayload
from store.sweep_store import SweepStore


def payloads_of(store: SweepStore) -> dict[str, UnitPayload]:
    """Every shard's content by key, each checked against its checksum."""
    payloads = {}
    for key in store.present():
        with store.read(key, check=True) as reader:
            payloads[key] = reader.payload()
    return payloads


def metric_values(store: SweepStore, key: str) -> dict[str, Any]:
    """The values of a unit's metrics by name; None for an absent one."""
    with store.read(key) as reader:
        return {metric.info.name: metric.values for metric in reader.metrics}


def assert_equal_stores(first: Path, second: Path) -> None:
    """Both stores hold the same units with bit-identical numbers; times and provenance may differ."""
    ours, theirs = (payloads_of(SweepStore.open(path)) for path in (first, second))
    assert ours.keys() == theirs.keys() and ours
    for key, payload in ours.items():
        assert_equal_payloads(payload, theirs[key])


def assert_equal_payloads(payload: UnitPayload, other: UnitPayload) -> None:
    """Both hold bit-identical numbers; times and provenance may differ."""
    for name in ("final", "x_t", "pred_x0"):
        assert np.array_equal(getattr(payload, name), getattr(other, name)), name
    assert payload.distances.keys() == other.distances.keys()
    assert all(np.array_equal(payload.distances[name], other.distances[name]) for name in payload.distances)
    for metric, other_metric in zip(payload.metrics, other.metrics, strict=True):
        assert metric.info == other_metric.info
        assert np.array_equal(metric.values, other_metric.values, equal_nan=True)
