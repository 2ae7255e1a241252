"""The dashboard's only way to a store: read, cached on a cheap stamp of the folder, and never written.

Everything that is derived from catalogue and plan is kept until the stamp changes, so that a sweep that runs shows its
progress and nothing is read twice. Every function may raise SkipscopeError or OSError: a page makes a panel of it.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from compute.analysis.impact import Impact, impact_of
from compute.policy.graph import ComponentGraph
from dashboard.comparison import Comparison, comparison_of
from dashboard.policies import PolicyFile, graph_of, policy_files
from store.driver import DriverState
from store.errors import SweepDamaged
from store.header import SweepHeader
from store.layout import BASELINES, CATALOGUE, FAILURES, HEADER, POLICIES, REPORTS, UNITS
from store.records import Ablation
from store.sweep_store import StatusCounts, SweepStore
from store.table import SweepReader, Table, sweep_table

Stamp = tuple[int, ...]
_KEPT = 4  # of each sort: the store that is shown, with a few of its stamps while it grows
_SETTLED_SECONDS = 3.0  # a running sweep changes all the time: what was read holds this long


def stamp_of(root: Path) -> Stamp:
    """Sizes and times of what the tables are made from; it changes when they may. Raises nothing."""
    parts: list[int] = []
    for name in (HEADER, CATALOGUE, BASELINES, UNITS, FAILURES, POLICIES, REPORTS):
        try:
            found = os.stat(root / name)
        except OSError:
            parts += [-1, -1]
        else:
            parts += [found.st_mtime_ns, found.st_size]
    return tuple(parts)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a sweep is: `rate` in units a second and `seconds_left` while a driver runs, else None."""

    driver: DriverState
    counts: StatusCounts
    rate: float | None
    seconds_left: float | None
    failures: tuple[tuple[str, str], ...]
    """(what failed, why), in plan order."""


@dataclass(frozen=True)
class Sweep:
    """A sweep as a view sees it: a path and a stamp; two of the same are the same sweep in the same state."""

    path: Path
    stamp: Stamp

    @property
    def store(self) -> SweepStore:
        """The store, for what is not cached here. Nothing may be written through it."""
        return _reader(str(self.path), self.stamp).store

    @property
    def header(self) -> SweepHeader:
        """Configuration, settings, plan and provenance."""
        return self.store.header

    @property
    def table(self) -> Table:
        """A row for each finished unit and condition."""
        return _table(str(self.path), self.stamp)

    @property
    def steps(self) -> int:
        """The number of sampling steps of a run."""
        return steps_of(self.header)

    @property
    def components(self) -> tuple[str, ...]:
        """What was ablated, in the plan's order, which is the network's within each action."""
        return _components(str(self.path), self.stamp)

    def impact(self, metric: str = "mse") -> Impact:
        """Impact by a metric. Raises NoImpact."""
        return _impact(str(self.path), self.stamp, metric)

    def phases(self) -> Any:
        """Both kinds of evidence for the two phases. Raises SkipscopeError where there is none."""
        return _phases(str(self.path), self.stamp)

    @property
    def policies(self) -> tuple[PolicyFile, ...]:
        """Every policy file, also those that can't be read, which say why."""
        return _policies(str(self.path), self.stamp)

    def comparison(self, stem: str) -> Comparison | None:
        """The pictures that a policy's validation left; None where there are none. Raises StoreError."""
        return _comparison(str(self.path), self.stamp, stem)

    def graph(self) -> ComponentGraph | None:
        """The network's component graph; None where the store has none. Raises StoreError."""
        return _graph(str(self.path), self.stamp)

    def progress(self) -> Progress:
        """How far the sweep is, looked up now, without opening a shard."""
        return progress_of(self.store)


def open_sweep(path: Path) -> Sweep:
    """The sweep in a folder as it stands. Raises NotASweep, NewerFormat or SweepDamaged."""
    root = path.absolute()
    sweep = Sweep(root, stamp_of(root))
    _ = sweep.header
    return sweep


def steps_of(header: SweepHeader) -> int:
    """The number of sampling steps that all runs of a sweep have. Raises SweepDamaged where it is not said."""
    steps = header.settings.get("sampler", {}).get("steps")
    if not isinstance(steps, int) or not 1 <= steps <= 1_000_000:
        raise SweepDamaged(f"sweep.json: settings.sampler.steps is {str(steps)[:40]}; a number of steps is accepted")
    return steps


def progress_of(store: SweepStore) -> Progress:
    """Counts, driver, speed and failures of a store."""
    driver, counts, failures = store.driver(), store.status_counts(), store.failures()
    speed = _rate(store, driver)
    return Progress(
        driver=driver,
        counts=counts,
        rate=speed,
        seconds_left=counts.left / speed if speed else None,
        failures=tuple(
            (str(unit.intervention or "baseline"), failures[key].reason)
            for key, unit in store.header.units.items()
            if key in failures
        ),
    )


def _rate(store: SweepStore, driver: DriverState) -> float | None:
    """Shards made since this driver began, a second; None when none runs."""
    if driver.state != "running" or driver.since is None:
        return None
    made = [when for when in _shard_times(store) if when >= driver.since]
    return len(made) / max(max(made) - driver.since, 1e-3) if made else None


def _shard_times(store: SweepStore) -> list[float]:
    times = []
    for _, path in store.shards():
        try:
            times.append(path.stat().st_mtime)
        except OSError:  # replaced while we looked
            times.append(time.time())
    return times


@st.cache_resource(max_entries=_KEPT, show_spinner="Reading the plan …")
def _reader(root: str, stamp: Stamp) -> SweepReader:
    return SweepReader(root)


@st.cache_resource(max_entries=_KEPT, show_spinner="Reading the catalogue …")
def _table(root: str, stamp: Stamp) -> Table:
    return sweep_table(_reader(root, stamp).store)


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _components(root: str, stamp: Stamp) -> tuple[str, ...]:
    plan = _reader(root, stamp).store.header.plan
    found = [" + ".join(unit.intervention.components) for unit in plan if isinstance(unit.intervention, Ablation)]
    return tuple(name for name in dict.fromkeys(found) if name)


@st.cache_resource(max_entries=4 * _KEPT, show_spinner="Computing impact …")
def _impact(root: str, stamp: Stamp, metric: str) -> Impact:
    return impact_of(_reader(root, stamp).store, metric)


@st.cache_resource(max_entries=_KEPT, show_spinner="Reading trajectories …")
def _phases(root: str, stamp: Stamp) -> Any:
    from compute.analysis.phases import phases_of

    return phases_of(_reader(root, stamp))


@st.cache_resource(max_entries=_KEPT, show_spinner="Reading policies …")
def _policies(root: str, stamp: Stamp) -> tuple[PolicyFile, ...]:
    return policy_files(Path(root))


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _components(root: str, stamp: Stamp) -> tuple[str, ...]:
    plan = _reader(root, stamp).store.header.plan
    found = [" + ".join(unit.intervention.components) for unit in plan if isinstance(unit.intervention, Ablation)]
    return tuple(name for name in dict.fromkeys(found) if name)


@st.cache_resource(max_entries=4 * _KEPT, show_spinner=False)
def _comparison(root: str, stamp: Stamp, stem: str) -> Comparison | None:
    return comparison_of(Path(root), stem)


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _graph(root: str, stamp: Stamp) -> ComponentGraph | None:
    return graph_of(Path(root))


def table_csv(rows: list[dict[str, Any]]) -> bytes:
    """Rows as CSV in UTF-8; a text that a spreadsheet would run as a formula gets an apostrophe before it."""
    import csv
    import io

    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _harmless(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode("utf-8")


def _harmless(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value
