"""Which baselines show what their prompts say, as a judge reads them; findings may be restricted to those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from store.index.table import Table

RIGHT_BY = "fidelity_all"
"""The metric that is 1 if a judge sees everything that a prompt asks for."""
_ROUNDING = 1e-9
Place = tuple[str, int]
"""A baseline's key, and a condition's position in its batch."""


def baseline_verdicts(table: Table) -> Mapping[Place, bool]:
    """Return whether each judged baseline is right; empty without a judge."""
    if RIGHT_BY not in table:
        return {}
    rows = np.flatnonzero((table["role"] == "baseline") & np.isfinite(table[RIGHT_BY]))
    right = (table[RIGHT_BY][rows] >= 1 - _ROUNDING).tolist()
    return dict(
        zip(zip(table["key"][rows].tolist(), table["condition"][rows].tolist(), strict=True), right, strict=True)
    )


def with_right_baselines(table: Table) -> Table:
    """Return the rows of a table whose baseline is right, and of those baselines themselves."""
    verdicts = baseline_verdicts(table)
    own = np.where(table["role"] == "baseline", table["key"], table["baseline"]).tolist()
    kept = np.array([verdicts.get(place, False) for place in zip(own, table["condition"].tolist(), strict=True)], bool)
    return replace(table, columns={name: column[kept] for name, column in table.columns.items()})
