"""Reading a sweep: the table of all that was measured, and lazy slices of each unit."""

from __future__ import annotations

import os

from store.index.table import Table, make_table
from store.shard.reader import UnitReader
from store.sweep_store import SweepStore


class SweepReader:
    """The sweep in a folder, for reading. Raises NotASweep, NewerFormat or SweepDamaged."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.store = SweepStore.open(path)

    def table(self, *, unplanned: bool = False) -> Table:
        """Return the table of the sweep; see `sweep_table`."""
        return sweep_table(self.store, unplanned=unplanned)

    def unit(self, key: str) -> UnitReader:
        """Open one unit's shard for lazy slices. Raises ShardMissing or ShardDamaged."""
        return self.store.read(key)


def sweep_table(store: SweepStore, *, unplanned: bool = False) -> Table:
    """Return a table with a row for each finished unit and condition, in the plan's order.

    With `unplanned`, units that the plan no longer names follow, by key.
    """
    rows = store.catalogue()
    planned = [rows[key] for key in store.header.units if key in rows]
    others = [rows[key] for key in sorted(rows.keys() - store.header.units.keys())] if unplanned else []
    return make_table(planned + others)
