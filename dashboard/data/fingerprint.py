"""A cheap stamp of a store, by which what was read from it is kept."""

from __future__ import annotations

import os
import time
from pathlib import Path

import streamlit as st

from store.driver.driver_state import driver_state
from store.folder.layout import BASELINES, CATALOGUE, FAILURES, HEADER, POLICIES, REPORTS, UNITS

Stamp = tuple[int, ...]
_SETTLED_SECONDS = 5.0


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


def settled_stamp(root: Path) -> Stamp:
    """The stamp now; of a running sweep, which changes all the time, the one read last while that is fresh."""
    stamp, now, known = stamp_of(root), time.monotonic(), _latest().get(str(root))
    if known and known[1] != stamp and now - known[0] < _SETTLED_SECONDS and driver_state(root).state == "running":
        return known[1]
    if known is None or known[1] != stamp:
        _latest()[str(root)] = (now, stamp)
    return stamp


@st.cache_resource
def _latest() -> dict[str, tuple[float, Stamp]]:
    return {}
