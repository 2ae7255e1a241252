"""The table of the metrics of one picture, beside the baseline's and another seed's."""

from __future__ import annotations

from typing import Any

import numpy as np

from dashboard.data.ablation_runs import AblationRun
from dashboard.data.sweep import Sweep
from store.index.table import Table


def metric_rows(sweep: Sweep, run: AblationRun) -> list[dict[str, Any]]:
    """Return a row for each metric; a missing value is None.

    The baseline's value of a paired metric is the best one that the metric has: its distance to itself.
    """
    table = sweep.table
    ablated = _row(table, run.key, run.index)
    baseline = _row(table, run.baseline, run.index)
    reseed = _row(table, sweep.runs.reseeds.get(run.baseline, ""), run.index)
    rows = []
    for name in sweep.metrics:
        info = table.metrics[name]
        best = info.low if info.direction == "lower" else info.high
        rows.append(
            {
                "Metric": sweep.metric_label(name),
                "Ablated": _value(table, name, ablated),
                "Baseline": best if info.paired else _value(table, name, baseline),
                "Another seed": _value(table, name, reseed),
                "Better": info.direction,
            }
        )
    return rows


def _row(table: Table, key: str, index: int) -> int | None:
    """Return the number of the table's row of a unit and a position in its batch."""
    rows = np.flatnonzero((table["key"] == key) & (table["condition"] == index))
    return int(rows[0]) if len(rows) else None


def _value(table: Table, name: str, row: int | None) -> float | None:
    value = float(table[name][row]) if row is not None else float("nan")
    return value if np.isfinite(value) else None
