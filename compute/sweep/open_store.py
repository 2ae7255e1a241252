"""The store of a sweep: created, or opened and extended."""

from __future__ import annotations

from pathlib import Path

from compute.policy.graph_document import has_graph, write_graph
from compute.provenance import provenance
from compute.sweep.prepare import Prepared
from store.errors import NotASweep
from store.folder.header import SweepHeader
from store.folder.layout import HEADER
from store.records import Unit
from store.sweep_store import SweepStore


def open_or_create(path: Path, prepared: Prepared, *, replan: bool = False) -> SweepStore:
    """Return the store in the folder `path`, which then plans the units of `prepared` besides its own.

    Of its own it forgets those that failed and that `prepared` does not name: what their configuration got wrong would
    fail for ever. With `replan` it plans only the units of `prepared`. Raises NotASweep for a store with other
    settings, DriverRunning where another process drives the store that has to be extended, and what SweepStore raises.
    """
    header = SweepHeader(
        config=prepared.config.model_dump(mode="json"),
        settings=dict(prepared.plan.settings),
        plan=prepared.plan.units,
        provenance={**provenance(), "model": prepared.source.name},
    )
    try:
        exists = (path / HEADER).exists()
    except OSError as error:
        raise NotASweep(f"{path}: a sweep cannot be made here: {error.strerror}") from None
    store = SweepStore.open(path) if exists else SweepStore.create(path, header)
    if store.header.version != header.version:
        raise NotASweep(
            f"{path}: was made by an earlier release (format {store.header.version}); it opens, shows and measures, "
            "but is not extended, because its baselines do not hold what runs now start from: use another --store"
        )
    if store.header.settings != header.settings:
        changed = [key for key in header.settings if store.header.settings.get(key) != header.settings[key]]
        raise NotASweep(
            f"{path}: holds a sweep with another {', '.join(changed)}; numbers would not compare: use another --store"
        )
    units = header.plan if replan else _united(_without_dead(store, header), header.units)
    if units != store.header.plan:
        with store.drive("extend", maintenance=True):
            store.extend(header.model_copy(update={"plan": units}))
    if not has_graph(store.root):
        write_graph(store.root, prepared.plan.runs.graph)
    return store


def _without_dead(store: SweepStore, header: SweepHeader) -> dict[str, Unit]:
    """Return a store's units without those that failed, or whose baseline did, and that `header` does not plan."""
    planned = store.header.units
    dead = planned.keys() & store.failures().keys() - store.present() - header.units.keys()
    return {
        key: unit
        for key, unit in planned.items()
        if key not in dead and (unit.baseline not in dead or key in header.units or key in store.present())
    }


def _united(old: dict[str, Unit], new: dict[str, Unit]) -> tuple[Unit, ...]:
    """Return the old units in their order, then the additional ones; a unit of both is the new one."""
    return tuple({**old, **new}.values())
