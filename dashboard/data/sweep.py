"""The dashboard's only way to a store: read, cached on a cheap stamp of the folder, and never written.

Everything that is derived from catalogue and plan is kept until the stamp changes, so that a sweep that runs shows its
progress and nothing is read twice. Every function may raise SkipscopeError or OSError: a page makes a panel of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from compute.analysis.impact.ablation_impact import Impact, impact_of_table, metrics_with_impact
from compute.analysis.impact.component_kinds import component_levels
from compute.analysis.impact.group_curves import GroupCurve, by_kind, by_level
from compute.analysis.phases.phase_evidence import Phases, phases_of
from compute.analysis.report.findings import findings
from compute.policy.graph import ComponentGraph
from compute.policy.graph_document import read_stored_graph
from dashboard.data.ablation_runs import AblationRuns, ablation_runs
from dashboard.data.fingerprint import Stamp, settled_stamp
from dashboard.data.impact_cells import Actions, Cell, cells_of
from dashboard.data.policy_files import PolicyFile, policy_files
from dashboard.data.validation_pictures import Comparison, comparison_of
from dashboard.words.component_labels import metric_name
from store.care.status import SweepStatus, sweep_status
from store.errors import SkipscopeError, SweepDamaged
from store.folder.header import SweepHeader
from store.index.table import Table
from store.records import Ablation, Components, Condition
from store.sweep_reader import SweepReader, sweep_table
from store.sweep_store import SweepStore

Curves = tuple[tuple[GroupCurve, ...], tuple[GroupCurve, ...]]
_KEPT = 4  # of each sort: the store that is shown, with a few of its stamps while it grows
_FIRST = ("mse", "rel_l2", "lpips", "ssim", "haarpsi", "psnr", "fidelity_all")


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
    def runs(self) -> AblationRuns:
        """The finished ablations, and the units that hold them."""
        return _runs(str(self.path), self.stamp)

    def planned_components(self, actions: Actions) -> tuple[Components, ...]:
        """What is ablated with any of some actions, finished or not, in the plan's order."""
        plan = (unit.intervention for unit in self.header.plan)
        planned = [i.components for i in plan if isinstance(i, Ablation) and i.action in actions]
        return tuple(components for components in dict.fromkeys(planned) if components)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that say something of the finished ablations, distances first."""
        shown = metrics_with_impact(self.table)
        return tuple(sorted(shown, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name)))

    def metric_label(self, name: str) -> str:
        """A metric's name for people."""
        info = self.table.metrics.get(name)
        return metric_name(name, info.label if info else "")

    def impact(self, metric: str = "mse") -> Impact:
        """Impact by a metric. Raises NoImpact."""
        return _impact(str(self.path), self.stamp, metric)

    def cells(self, metric: str, condition: Condition | None = None) -> list[Cell]:
        """The impact's ablations as the map shows them, the most harmful first. Raises NoImpact."""
        return _cells(str(self.path), self.stamp, metric, None if condition is None else condition.model_dump_json())

    def curves(self, metric: str, actions: Actions, length: int) -> Curves:
        """The means by kind and by level, of some actions in windows of one length. Raises NoImpact."""
        return _curves(str(self.path), self.stamp, metric, actions, tuple(map(str, actions)), length)

    def findings(self, metric: str) -> tuple[str, ...]:
        """The headline findings in sentences, a caution last. Raises NoImpact."""
        return _findings(str(self.path), self.stamp, metric)

    def phases(self) -> Phases:
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

    def status(self) -> SweepStatus:
        """How far the sweep is now; not cached."""
        return sweep_status(self.store)


def open_sweep(path: Path) -> Sweep:
    """The sweep in a folder as it stands. Raises NotASweep, NewerFormat or SweepDamaged."""
    root = path.absolute()
    sweep = Sweep(root, settled_stamp(root))
    _ = sweep.header
    return sweep


def steps_of(header: SweepHeader) -> int:
    """The number of sampling steps that all runs of a sweep have. Raises SweepDamaged where it is not said."""
    steps = header.settings.get("sampler", {}).get("steps")
    if not isinstance(steps, int) or not 1 <= steps <= 1_000_000:
        raise SweepDamaged(f"sweep.json: settings.sampler.steps is {str(steps)[:40]}; a number of steps is accepted")
    return steps


@st.cache_resource(max_entries=_KEPT, show_spinner="Reading the plan …")
def _reader(root: str, stamp: Stamp) -> SweepReader:
    return SweepReader(root)


@st.cache_resource(max_entries=_KEPT, show_spinner="Reading the catalogue …")
def _table(root: str, stamp: Stamp) -> Table:
    return sweep_table(_reader(root, stamp).store)


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _runs(root: str, stamp: Stamp) -> AblationRuns:
    return ablation_runs(_reader(root, stamp).store.header.plan, set(_table(root, stamp)["key"].tolist()))


@st.cache_resource(max_entries=4 * _KEPT, show_spinner="Computing impact …")
def _impact(root: str, stamp: Stamp, metric: str) -> Impact:
    levels = component_levels(_reader(root, stamp).store.root)
    return impact_of_table(_table(root, stamp), metric, root, levels=levels)


@st.cache_resource(max_entries=4 * _KEPT, show_spinner=False)
def _cells(root: str, stamp: Stamp, metric: str, condition: str | None) -> list[Cell]:
    chosen = None if condition is None else Condition.model_validate_json(condition)
    return cells_of(_impact(root, stamp, metric), chosen)


@st.cache_resource(max_entries=8 * _KEPT, show_spinner=False)
def _curves(root: str, stamp: Stamp, metric: str, _actions: Actions, actions: tuple[str, ...], length: int) -> Curves:
    """`actions` as text is what the cache compares."""
    impact = _impact(root, stamp, metric)
    windows = [window for window in impact.windows if window.stop - window.start == length]
    narrowed = impact.only(actions=_actions, windows=windows)
    return by_kind(narrowed), by_level(narrowed)


@st.cache_resource(max_entries=4 * _KEPT, show_spinner=False)
def _findings(root: str, stamp: Stamp, metric: str) -> tuple[str, ...]:
    phases: Phases | None
    try:
        phases = _phases(root, stamp)
    except SkipscopeError:
        phases = None  # the page of phases says why
    return findings(_impact(root, stamp, metric), phases)


@st.cache_resource(max_entries=_KEPT, show_spinner="Reading trajectories …")
def _phases(root: str, stamp: Stamp) -> Phases:
    return phases_of(_reader(root, stamp))


@st.cache_resource(max_entries=_KEPT, show_spinner="Reading policies …")
def _policies(root: str, stamp: Stamp) -> tuple[PolicyFile, ...]:
    return policy_files(Path(root))


@st.cache_resource(max_entries=4 * _KEPT, show_spinner=False)
def _comparison(root: str, stamp: Stamp, stem: str) -> Comparison | None:
    return comparison_of(Path(root), stem)


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _graph(root: str, stamp: Stamp) -> ComponentGraph | None:
    return read_stored_graph(Path(root))
