"""What a large sweep costs its driver: CPU seconds a unit, sizes of the store's files, seconds to open and resume it.

    python -m benchmarks.scale DIR [--units 20000] [--workers 1000]

DIR is a new folder; the plan of a synthetic sweep (`benchmarks.large_store`) is written into it. The workers are
simulated, in this process: their shards are a seal without content, of which a driver reads no more, and their rows
those of one real unit. So all that is measured is the driver's. `verify` would call such shards foreign.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.large_store import make_planned_store
from benchmarks.synthetic_units import SyntheticUnits
from compute.sweep.executors.executor import Done, Outcome, Slow
from compute.sweep.run import run_sweep
from store.care.status import sweep_status
from store.folder.layout import CATALOGUE, HEADER, MANIFEST, SHARD_FOLDERS, shard_name
from store.index.manifest import ManifestRow
from store.index.receipt import ShardReceipt, receipt_of
from store.records import Unit
from store.shard.encoding import encode_shard
from store.shard.seal import seal_digest, sealed
from store.sweep_reader import sweep_table
from store.sweep_store import SweepStore


class SimulatedWorkers:
    """An executor whose workers end their units at once, in turn; each holds one unit at a time."""

    def __init__(self, store: SweepStore, workers: int, pattern: ShardReceipt) -> None:
        self._store, self._workers, self._pattern = store, workers, pattern

    def execute(self, units: Sequence[Unit]) -> Iterator[Outcome]:
        """Yield each unit's outcome once all workers before it have ended one."""
        waiting, running = deque(units), deque[Unit]()
        while waiting or running:
            while waiting and len(running) < self._workers:
                running.append(waiting.popleft())
            yield Done(unit=(unit := running.popleft()), receipt=self._ended(unit))

    def _ended(self, unit: Unit) -> ShardReceipt:
        data = sealed(unit.key.encode("ascii"))
        name, digest = shard_name(unit.role, unit.key), hashlib.sha256(data).hexdigest()
        (self._store.root / name).write_bytes(data)
        manifest = ManifestRow(path=name, sha256=digest, seal=str(seal_digest(data)), size=len(data))
        row = self._pattern.catalogue.model_copy(update={"unit": unit, "sha256": digest})
        return ShardReceipt(manifest=manifest, catalogue=row)

    def close(self) -> None:
        """Release nothing."""


class Silent:
    """A watcher that shows nothing."""

    def ended(self, outcome: Outcome) -> None:
        """Ignore it."""

    def slow(self, slow: Slow) -> None:
        """Ignore it."""

    def discarded(self, unit: Unit, reason: str) -> None:
        """Ignore it."""


@contextmanager
def measured(name: str, units: int) -> Iterator[None]:
    """Print the seconds of the body: of this process' CPU, and on the wall."""
    cpu, wall = time.process_time(), time.perf_counter()
    yield
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(f"{name:<32} {cpu:8.2f} s CPU {wall:8.2f} s {cpu / units * 1e6:8.0f} us a unit", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a sweep and print what it costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="DIR", help="a new folder for the synthetic sweep")
    parser.add_argument("--units", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=1000)
    options = parser.parse_args(arguments)
    units = options.units
    store, graph = make_planned_store(options.folder, units)
    unit = store.header.plan[0]
    payload = SyntheticUnits.of(graph).payload(unit)
    pattern = receipt_of(encode_shard(unit, payload, store.header.settings_digest), unit, payload)
    with measured(f"sweep, {options.workers} workers", units):
        run_sweep(store, lambda: SimulatedWorkers(store, options.workers, pattern), Silent())
    _print_sizes(options.folder)
    _measure_reading(options.folder, units)
    for name in ("resume, lists to sort", "resume, nothing to do"):
        with measured(name, units):
            run_sweep(SweepStore.open(options.folder), lambda: SimulatedWorkers(store, 1, pattern), Silent())


def _print_sizes(folder: Path) -> None:
    for name in (HEADER, MANIFEST, CATALOGUE):
        print(f"{name:<32} {(folder / name).stat().st_size / 1e6:8.1f} MB")
    for name in SHARD_FOLDERS:
        print(f"{name:<32} {len(os.listdir(folder / name)):8} files")


def _measure_reading(folder: Path, units: int) -> None:
    with measured("open", units):
        store = SweepStore.open(folder)
    with measured("status", units):
        sweep_status(store)
    with measured("table", units):
        sweep_table(store)


if __name__ == "__main__":
    main()
