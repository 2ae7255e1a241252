"""Which conditions are fragile: the mean impact of a sweep's ablations on each condition, window by window."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compute.analysis.impact.ablation_impact import Impact
from store.records import Condition, Window

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PromptMatrix:
    """The mean over the ablations of each main window, for each condition, the most fragile condition first.

    `values[c, w]` is NaN where condition c has no ablation in window w. `means[c]` is that of its row.
    """

    conditions: tuple[Condition, ...]
    windows: tuple[Window, ...]
    values: Floats
    means: Floats


def prompt_matrix(impact: Impact) -> PromptMatrix:
    """Return the matrix of an impact. Each ablation counts alike; on the damage scale, each condition by one divisor.

    A window's ablations that were not run on every condition are left out of it, or conditions would not compare.
    """
    windows = impact.main_windows
    columns = [_column(impact, window) for window in windows]
    values = np.stack(columns, axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a condition without any ablation has no mean
        means: Floats = np.nanmean(values, axis=1)
    sign = -1 if impact.higher_is_worse else 1
    order = np.argsort(np.where(np.isfinite(means), sign * means, np.inf), kind="stable")
    return PromptMatrix(
        conditions=tuple(impact.conditions[place] for place in order.tolist()),
        windows=windows,
        values=values[order],
        means=means[order],
    )


def _column(impact: Impact, window: Window) -> Floats:
    values: Floats = np.array([a.values for a in impact.only(windows=(window,)).ablations], dtype=np.float64)
    measured = np.isfinite(values)
    shared = measured.any(0)
    whole = values[measured[:, shared].all(1)]
    column = np.full(values.shape[1], np.nan)
    if len(whole):
        column[shared] = whole[:, shared].mean(0)
    return column
