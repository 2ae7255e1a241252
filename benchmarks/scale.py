"""What a large sweep costs its driver: CPU seconds a unit, sizes of the store's files, seconds to open and resume it.

    python -m benchmarks.scale DIR [--units 20000] [--workers 1000]

DIR is a new folder; a synthetic sweep is written into it (`benchmarks.large_store`). The workers are simulated, in this
process: a unit is handed over with its stored receipt, so all that is measured is the driver's.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.large_store import make_large_store
from compute.sweep.executors.executor import Done, Outcome
from compute.sweep.run import run_sweep
from store.care.status import sweep_status
from store.folder.layout import CATALOGUE, HEADER, MANIFEST, SHARD_FOLDERS
from store.index.receipt import ShardReceipt
from store.records import Unit
from store.sweep_reader import sweep_table
from store.sweep_store import SweepStore


class SimulatedWorkers:
    """An executor whose workers end their units at once, in turn; each holds one unit at a time."""

    def __init__(self, store: SweepStore, workers: int, receipts: dict[str, ShardReceipt], hidden: Path) -> None:
        self._store, self._workers, self._receipts, self._hidden = store, workers, receipts, hidden

    def execute(self, units: Sequence[Unit]) -> Iterator[Outcome]:
        """Yield each unit's outcome once all workers before it have ended one."""
        waiting, running = deque(units), deque[Unit]()
        while waiting or running:
            while waiting and len(running) < self._workers:
                running.append(waiting.popleft())
            unit = running.popleft()
            receipt = self._receipts[unit.key]
            (self._hidden / Path(receipt.manifest.path).name).rename(self._store.root / receipt.manifest.path)
            yield Done(unit=unit, receipt=receipt)

    def close(self) -> None:
        """Release nothing."""


class Silent:
    """A watcher that shows nothing."""

    def ended(self, outcome: Outcome) -> None:
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
    make_large_store(options.folder, units)
    _print_sizes(options.folder)
    _measure_reading(options.folder, units)
    store = SweepStore.open(options.folder)
    with measured("resume, nothing to do", units):
        run_sweep(store, lambda: SimulatedWorkers(store, 1, {}, store.root), Silent())
    _measure_driver(options.folder, units, options.workers)


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


def _measure_driver(folder: Path, units: int, workers: int) -> None:
    """Run the sweep's units through the driver as if none was done: their shards are put aside until they are."""
    store = SweepStore.open(folder)
    receipts = {unit.key: store.receipt(unit.key) for unit in store.header.plan}
    hidden = folder.with_name(f"{folder.name}-shards")
    hidden.mkdir()
    for receipt in receipts.values():
        path = folder / receipt.manifest.path
        path.rename(hidden / path.name)
    with measured(f"sweep, {workers} workers", units):
        run_sweep(store, lambda: SimulatedWorkers(store, workers, receipts, hidden), Silent())
    hidden.rmdir()


if __name__ == "__main__":
    main()
