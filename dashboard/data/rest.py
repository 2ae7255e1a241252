"""What can rest, as several pages ask it: cached, with the range of steps that is asked for by default."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from compute.analysis.impact.resting import Rest, resting
from dashboard.data.fingerprint import Fingerprint
from dashboard.data.sweep import Sweep
from store.errors import SkipscopeError
from store.records import Window

THRESHOLDS = (0.003, 0.01, 0.03, 0.1)
"""Damages to choose from."""
_MAX_ENTRIES = 64


def removal_windows(sweep: Sweep, metric: str) -> tuple[Window, ...]:
    """Return the windows in which components were removed; none where the metric is no damage. Raises NoImpact."""
    return _windows(str(sweep.path), sweep.fingerprint, metric)


def rest_of(sweep: Sweep, metric: str, *, start: int, stop: int, threshold: float) -> Rest:
    """Return what can rest in a range of steps by a metric that is damage. Raises NoImpact."""
    return _rest(str(sweep.path), sweep.fingerprint, metric, start, stop, threshold)


def default_start(sweep: Sweep, metric: str) -> int:
    """Return the first window's start after composition has ended, else the middle one's, of at least one window.

    Composition has ended at the upper end of its boundary's interval, as in the search for policies.
    """
    starts = sorted({window.start for window in removal_windows(sweep, metric)})
    try:
        end = sweep.phases().boundary
    except SkipscopeError:
        end = None  # the page Phases says why
    if end is None:
        return starts[len(starts) // 2]
    return next((start for start in starts if start >= end.high), starts[-1])


@st.cache_resource(max_entries=_MAX_ENTRIES, show_spinner=False)
def _windows(root: str, fingerprint: Fingerprint, metric: str) -> tuple[Window, ...]:
    impact = Sweep(Path(root), fingerprint).impact(metric)
    removed = any(action.properties.removes for action in impact.actions)
    return impact.main_windows if removed and impact.scale == "damage" else ()


@st.cache_resource(max_entries=_MAX_ENTRIES, show_spinner=False)
def _rest(root: str, fingerprint: Fingerprint, metric: str, start: int, stop: int, threshold: float) -> Rest:
    return resting(Sweep(Path(root), fingerprint).impact(metric), start=start, stop=stop, threshold=threshold)
