"""The range of steps for which the pages ask what can rest, unless the user chooses another one."""

from __future__ import annotations

from collections.abc import Sequence

from compute.statistics.estimate import Estimate
from store.records import Window

THRESHOLDS = (0.003, 0.01, 0.03, 0.1)
"""Damages to choose from."""


def default_start(windows: Sequence[Window], composition_end: Estimate | None) -> int:
    """Return the first window's start after composition has ended, else the middle one's, of at least one window."""
    starts = sorted({window.start for window in windows})
    if composition_end is None:
        return starts[len(starts) // 2]
    return next((start for start in starts if start >= composition_end.mean), starts[-1])
