"""The analyses of the field as pages ask for them: cached until the store changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from jaxtyping import Float

from compute.analysis.impact.observed_change import ObservedChange, observed_change
from compute.analysis.trajectories.baseline_states import StateName, baseline_trajectories
from compute.analysis.trajectories.curvature import Curvature, curvature_of
from compute.analysis.trajectories.radial_spectrum import radial_spectrum
from compute.analysis.trajectories.step_similarity import step_similarity
from dashboard.data.checked_units import CheckedReader
from dashboard.data.fingerprint import Fingerprint
from dashboard.data.sweep import Sweep
from store.records import Window

_MAX_ENTRIES = 16


@dataclass(frozen=True, kw_only=True)
class TrajectoryShapes:
    """What is computed of the baselines' trajectories, at the steps that they kept."""

    steps: tuple[int, ...]
    conditions: int
    similarity: Float[np.ndarray, "steps steps"]
    spectrum: Float[np.ndarray, "steps frequencies"]
    curvature: Curvature
    side: int
    """The shorter side of a state, in pixels."""


def trajectory_shapes(sweep: Sweep, state: StateName) -> TrajectoryShapes:
    """Return the analyses of one kind of state. Raises NoTrajectories, DamagedShard or ShardMissing."""
    return _shapes(str(sweep.path), sweep.fingerprint, state)


def observed_change_of(sweep: Sweep, metric: str, window: Window) -> ObservedChange:
    """Return a window's observed change and damage. Raises NoImpact, NoObservedChange, DamagedShard or ShardMissing."""
    return _observed(str(sweep.path), sweep.fingerprint, metric, window.start, window.stop)


@st.cache_resource(max_entries=_MAX_ENTRIES, show_spinner="Reading trajectories …")
def _shapes(root: str, fingerprint: Fingerprint, state: StateName) -> TrajectoryShapes:
    read = baseline_trajectories(CheckedReader(root), state)
    return TrajectoryShapes(
        steps=read.steps,
        conditions=read.conditions,
        similarity=step_similarity(read.values),
        spectrum=radial_spectrum(read.values),
        curvature=curvature_of(read.values, read.steps),
        side=min(read.values.shape[-2:]),
    )


@st.cache_resource(max_entries=_MAX_ENTRIES, show_spinner="Reading the distances of predictions …")
def _observed(root: str, fingerprint: Fingerprint, metric: str, start: int, stop: int) -> ObservedChange:
    impact = Sweep(Path(root), fingerprint).impact(metric)
    return observed_change(CheckedReader(root), impact, Window(start=start, stop=stop))
