"""The summary of a store that `ls` prints."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from store.driver.driver_state import DriverState
from store.folder.layout import VERSION
from store.index.table import chosen_metrics
from store.metric import MetricInfo
from store.records import ROLES, Record, Role
from store.sweep_store import StatusCounts, SweepStore


class UnitSummary(Record):
    """One unit: its intervention in words (`what`), number of conditions, state, and its shard's size in bytes."""

    key: str
    role: Role
    what: str
    conditions: int
    state: Literal["done", "failed", "left"]
    size: int
    reason: str = ""


class StoreSummary(Record):
    """A store. `size` (of all shards) and `free` (space on the disk) are in bytes; `units` are in plan order."""

    path: str
    version: int
    driver: DriverState
    counts: StatusCounts
    done_by_role: dict[Role, int]
    size: int
    free: int
    metrics: tuple[MetricInfo, ...]
    units: tuple[UnitSummary, ...]


def summarise(store: SweepStore) -> StoreSummary:
    """Summarise a store. Opens only shards that the catalogue lacks."""
    sizes = {key: path.lstat().st_size for key, path in store.shards()}
    failures, rows = store.failures(), store.catalogue()
    units = []
    for key, unit in store.header.units.items():
        state: Literal["done", "failed", "left"] = "done" if key in sizes else "failed" if key in failures else "left"
        units.append(
            UnitSummary(
                key=key,
                role=unit.role,
                what=str(unit.intervention or "baseline"),
                conditions=len(unit.conditions),
                state=state,
                size=sizes.get(key, 0),
                reason=failures[key].reason if state == "failed" else "",
            )
        )
    done = Counter(unit.role for unit in units if unit.state == "done")
    return StoreSummary(
        path=str(store.root),
        version=VERSION,
        driver=store.driver(),
        counts=store.status_counts(),
        done_by_role={role: done[role] for role in ROLES},
        size=sum(sizes.values()),
        free=store.free_bytes(),
        metrics=tuple(chosen_metrics(list(rows.values())).values()),
        units=tuple(units),
    )
