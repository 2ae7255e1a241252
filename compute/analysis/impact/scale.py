"""The scale of a metric's impact: damage where it measures a distance, else a difference, else the value itself."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from jaxtyping import Float

from store.index.table import Table
from store.metric import MetricInfo

Floats = npt.NDArray[np.float64]
Scale = Literal["damage", "difference", "value"]
DECIBELS = ("psnr",)
"""Metrics on a logarithmic scale: a ratio of their losses means nothing."""


def scale_of(info: MetricInfo) -> Scale:
    """Return the scale on which a metric is shown.

    - `damage`: a paired metric that measures a distance (lower is better), or a similarity with a top, whose loss
      (top − value) is one. In units of the loss between two seeds.
    - `difference`: a metric that judges each picture by itself, such as prompt fidelity: ablated − baseline.
    - `value`: a paired similarity without a top, or in decibels: the number itself.
    """
    if not info.paired:
        return "difference"
    if info.direction == "lower" or (info.high is not None and info.name not in DECIBELS):
        return "damage"
    return "value"


def higher_is_worse(info: MetricInfo) -> bool:
    """Return whether the greater number on the metric's scale is the greater harm."""
    return scale_of(info) == "damage" or info.direction == "lower"


def effects(table: Table, metric: str) -> Float[np.ndarray, " rows"]:
    """Return one number for each row of the table, NaN where it is missing: loss, paired difference or value.

    Losses are in the metric's own unit, not yet divided by that of another seed.
    """
    info, values = table.metrics[metric], table[metric].astype(np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    scale = scale_of(info)
    if scale == "difference":
        return values - _of_baselines(table, values)
    return info.loss(values) if scale == "damage" else values


def _of_baselines(table: Table, values: Floats) -> Floats:
    """For each row the value that the same condition has in the row's baseline."""
    own = np.flatnonzero(table["role"] == "baseline")
    places = zip(table["key"][own], table["condition"][own].tolist(), strict=True)
    of_baseline = dict(zip(places, values[own].tolist(), strict=True))
    rows = zip(table["baseline"], table["condition"].tolist(), strict=True)
    return np.array([of_baseline.get(place, np.nan) for place in rows], dtype=np.float64)
