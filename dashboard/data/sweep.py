"""A sweep as pages read it, cached until its folder's fingerprint changes. Nothing writes to it.

Every function may raise SkipscopeError or OSError, which a page shows as a panel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from compute.analysis.coverage import Coverage, ablation_coverage
from compute.analysis.impact.ablation_impact import Impact, impact_of_table, metrics_with_impact
from compute.analysis.impact.component_kinds import component_levels
from compute.analysis.impact.group_curves import GroupCurve, by_kind, by_level
from compute.analysis.phases.phase_evidence import Phases, phases_of
from compute.analysis.report.findings import findings
from compute.analysis.right_baselines import Place, baseline_verdicts
from compute.policy.graph import ComponentGraph
from compute.policy.graph_document import read_stored_graph
from dashboard.data.ablation_runs import AblationRuns, ablation_runs
from dashboard.data.checked_units import CheckedReader
from dashboard.data.fingerprint import Fingerprint, settled_fingerprint
from dashboard.data.impact_cells import Actions, Cell, MissingCell, missing_cells, ranked_cells
from dashboard.data.policy_files import PolicyFile, policy_files
from dashboard.data.validation_pictures import ValidationPictures, read_validation_pictures
from dashboard.words.metric_labels import metric_label
from store.care.status import SweepStatus, sweep_status
from store.errors import SkipscopeError, SweepDamaged
from store.folder.header import SweepHeader
from store.index.table import Table
from store.records import STEP_LIMIT, Ablation, Components, Condition
from store.sweep_reader import SweepReader, sweep_table
from store.sweep_store import SweepStore

Curves = tuple[tuple[GroupCurve, ...], tuple[GroupCurve, ...]]
"""Curves by kind and by level."""
_MAX_ENTRIES = 8  # of each cache: the stores that are compared, or one with a few of its states while it runs
_METRIC_ORDER = ("mse", "rel_l2", "lpips", "ssim", "haarpsi", "psnr", "fidelity_all", "clip_score")


@dataclass(frozen=True)
class Sweep:
    """A sweep in one state of its folder: what is read through it is cached for that path and fingerprint."""

    path: Path
    fingerprint: Fingerprint

    @property
    def store(self) -> SweepStore:
        """The store, for what is not cached here. It is only read."""
        return _reader(str(self.path), self.fingerprint).store

    @property
    def header(self) -> SweepHeader:
        """Configuration, settings, plan and provenance."""
        return self.store.header

    @property
    def table(self) -> Table:
        """A row for each finished unit and condition."""
        return _table(str(self.path), self.fingerprint)

    @property
    def steps(self) -> int:
        """The number of sampling steps of every run. Raises SweepDamaged if the header has none."""
        steps = self.header.settings.get("sampler", {}).get("steps")
        if not isinstance(steps, int) or not 1 <= steps <= STEP_LIMIT:
            raise SweepDamaged(
                f"sweep.json: settings.sampler.steps is {str(steps)[:40]}; a number of steps is accepted"
            )
        return steps

    @property
    def runs(self) -> AblationRuns:
        """The finished ablations, and the units that hold them."""
        return _runs(str(self.path), self.fingerprint)

    def planned_components(self, actions: Actions) -> tuple[Components, ...]:
        """Return the components that the plan ablates with any of some actions, in the plan's order."""
        interventions = (unit.intervention for unit in self.header.plan)
        planned = [i.components for i in interventions if isinstance(i, Ablation) and i.action in actions]
        return tuple(components for components in dict.fromkeys(planned) if components)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics that some finished ablation has; the most used ones first."""
        names = metrics_with_impact(self.table)
        order = {name: place for place, name in enumerate(_METRIC_ORDER)}
        return tuple(sorted(names, key=lambda name: (order.get(name, len(order)), name)))

    def metric_label(self, name: str) -> str:
        """Return the label of a metric, whether it was measured or not."""
        info = self.table.metrics.get(name)
        return metric_label(name, info.label if info else "")

    def impact(self, metric: str = "mse") -> Impact:
        """Return the impact by a metric. Raises NoImpact."""
        return _impact(str(self.path), self.fingerprint, metric)

    def cells(self, metric: str, condition: Condition | None = None) -> list[Cell]:
        """Return the impact's ablations, the most harmful first, over all conditions or on one. Raises NoImpact."""
        text = None if condition is None else condition.model_dump_json()
        return _cells(str(self.path), self.fingerprint, metric, text)

    def missing_cells(self, condition: Condition | None = None) -> list[MissingCell]:
        """Return the planned ablations without a finished run, on any condition or on one."""
        text = None if condition is None else condition.model_dump_json()
        return _missing(str(self.path), self.fingerprint, text)

    def curves(self, metric: str, actions: Actions, length: int) -> Curves:
        """Return the means by kind and by level, of some actions in windows of `length` steps. Raises NoImpact."""
        return _curves(str(self.path), self.fingerprint, metric, actions, tuple(map(str, actions)), length)

    @property
    def coverage(self) -> Coverage:
        """How much of the planned ablations is finished."""
        return _coverage(str(self.path), self.fingerprint)

    def findings(self, metric: str) -> tuple[str, ...]:
        """Return the headline findings in sentences, the last one a caution. Raises NoImpact."""
        return _findings(str(self.path), self.fingerprint, metric)

    @property
    def verdicts(self) -> Mapping[Place, bool]:
        """Whether each judged baseline shows what its prompt says, by its key and place; empty without a judge."""
        return _verdicts(str(self.path), self.fingerprint)

    def phases(self, *, only_right: bool = False) -> Phases:
        """Return both kinds of evidence for the two phases. Raises SkipscopeError if there is none."""
        return _phases(str(self.path), self.fingerprint, only_right)

    @property
    def policies(self) -> tuple[PolicyFile, ...]:
        """Every policy file, also those that cannot be read."""
        return _policies(str(self.path), self.fingerprint)

    def validation_pictures(self, stem: str) -> ValidationPictures | None:
        """Return the pictures of a policy's validation, or None if it has none. Raises StoreError."""
        return _validation_pictures(str(self.path), self.fingerprint, stem)

    def graph(self) -> ComponentGraph | None:
        """Return the network's component graph, or None if the store has none. Raises StoreError."""
        return _graph(str(self.path), self.fingerprint)

    def status(self) -> SweepStatus:
        """Return how far the sweep is now; not cached."""
        return sweep_status(self.store)


def open_sweep(path: Path) -> Sweep:
    """Return the sweep of a folder in its present state. Raises NotASweep, NewerFormat or SweepDamaged."""
    root = path.absolute()
    sweep = Sweep(root, settled_fingerprint(root))
    _ = sweep.header  # raises
    return sweep


@st.cache_resource(max_entries=_MAX_ENTRIES, show_spinner="Reading the plan …")
def _reader(root: str, fingerprint: Fingerprint) -> SweepReader:
    return CheckedReader(root)


@st.cache_resource(max_entries=_MAX_ENTRIES, show_spinner="Reading the catalogue …")
def _table(root: str, fingerprint: Fingerprint) -> Table:
    return sweep_table(_reader(root, fingerprint).store)


@st.cache_resource(max_entries=_MAX_ENTRIES, show_spinner=False)
def _runs(root: str, fingerprint: Fingerprint) -> AblationRuns:
    done = set(_table(root, fingerprint)["key"].tolist())
    return ablation_runs(_reader(root, fingerprint).store.header.plan, done)


@st.cache_resource(max_entries=_MAX_ENTRIES, show_spinner=False)
def _coverage(root: str, fingerprint: Fingerprint) -> Coverage:
    done = set(_table(root, fingerprint)["key"].tolist())
    return ablation_coverage(_reader(root, fingerprint).store.header.plan, done)


@st.cache_resource(max_entries=4 * _MAX_ENTRIES, show_spinner="Computing impact …")
def _impact(root: str, fingerprint: Fingerprint, metric: str) -> Impact:
    levels = component_levels(_reader(root, fingerprint).store.root)
    return impact_of_table(_table(root, fingerprint), metric, root, levels=levels)


@st.cache_resource(max_entries=4 * _MAX_ENTRIES, show_spinner=False)
def _cells(root: str, fingerprint: Fingerprint, metric: str, condition: str | None) -> list[Cell]:
    chosen = None if condition is None else Condition.model_validate_json(condition)
    return ranked_cells(_impact(root, fingerprint, metric), chosen)


@st.cache_resource(max_entries=4 * _MAX_ENTRIES, show_spinner=False)
def _missing(root: str, fingerprint: Fingerprint, condition: str | None) -> list[MissingCell]:
    chosen = None if condition is None else Condition.model_validate_json(condition)
    store, done = _reader(root, fingerprint).store, set(_table(root, fingerprint)["key"].tolist())
    failures = {key: failure.reason for key, failure in store.failures().items()}
    return missing_cells(store.header.plan, done, failures, chosen)


@st.cache_resource(max_entries=8 * _MAX_ENTRIES, show_spinner=False)
def _curves(
    root: str, fingerprint: Fingerprint, metric: str, _actions: Actions, action_texts: tuple[str, ...], length: int
) -> Curves:
    """The cache compares `action_texts`, not `_actions`."""
    impact = _impact(root, fingerprint, metric)
    windows = [window for window in impact.windows if window.stop - window.start == length]
    part = impact.only(actions=_actions, windows=windows)
    return by_kind(part), by_level(part)


@st.cache_resource(max_entries=4 * _MAX_ENTRIES, show_spinner=False)
def _findings(root: str, fingerprint: Fingerprint, metric: str) -> tuple[str, ...]:
    phases: Phases | None
    try:
        phases = _phases(root, fingerprint, False)
    except SkipscopeError:
        phases = None  # the phases page says why
    return findings(_impact(root, fingerprint, metric), phases)


@st.cache_resource(max_entries=_MAX_ENTRIES, show_spinner="Reading trajectories …")
def _phases(root: str, fingerprint: Fingerprint, only_right: bool) -> Phases:
    return phases_of(_reader(root, fingerprint), only_right=only_right)


@st.cache_resource(max_entries=_MAX_ENTRIES, show_spinner=False)
def _verdicts(root: str, fingerprint: Fingerprint) -> Mapping[Place, bool]:
    return baseline_verdicts(_table(root, fingerprint))


@st.cache_resource(max_entries=_MAX_ENTRIES, show_spinner="Reading policies …")
def _policies(root: str, fingerprint: Fingerprint) -> tuple[PolicyFile, ...]:
    return policy_files(Path(root))


@st.cache_resource(max_entries=4 * _MAX_ENTRIES, show_spinner=False)
def _validation_pictures(root: str, fingerprint: Fingerprint, stem: str) -> ValidationPictures | None:
    return read_validation_pictures(Path(root), stem)


@st.cache_resource(max_entries=_MAX_ENTRIES, show_spinner=False)
def _graph(root: str, fingerprint: Fingerprint) -> ComponentGraph | None:
    return read_stored_graph(Path(root))
