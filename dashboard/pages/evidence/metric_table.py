"""What was measured of one picture: each metric beside the baseline's and another seed's value."""

from __future__ import annotations

from typing import Any

import numpy as np

from dashboard.data.ablation_runs import AblationRun
from dashboard.data.sweep import Sweep
from dashboard.words.component_labels import metric_label
from store.index.table import Table


def metric_rows(sweep: Sweep, run: AblationRun) -> list[dict[str, Any]]:
    """A row for each metric, None where there is no value; to itself, a baseline has the best that a metric gives."""
    table = sweep.table
    own = _row(table, run.key, run.index)
    baseline = _row(table, run.baseline, run.index)
    reseed = _row(table, sweep.runs.reseeds.get(run.baseline, ""), run.index)
    rows = []
    for name in sweep.metrics:
        info = table.metrics[name]
        best = info.low if info.direction == "lower" else info.high
        rows.append(
            {
                "Metric": metric_label(info),
                "Ablated": _value(table, name, own),
                "Baseline": best if info.paired else _value(table, name, baseline),
                "Another seed": _value(table, name, reseed),
                "Better": info.direction,
            }
        )
    return rows


def _row(table: Table, key: str, index: int) -> int | None:
    found = np.flatnonzero((table["key"] == key) & (table["condition"] == index))
    return int(found[0]) if len(found) else None


def _value(table: Table, name: str, row: int | None) -> float | None:
    value = float(table[name][row]) if row is not None else float("nan")
    return value if np.isfinite(value) else None
