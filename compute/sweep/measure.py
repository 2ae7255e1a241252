"""Adds metrics to a finished sweep."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float32

from compute.metrics.metric_weights import NO_WEIGHTS, MetricWeights
from compute.models.model_metrics import check_named_weights, metrics_for
from compute.models.source import ModelSource
from compute.progress import bar as progress_bar
from compute.sweep.worker.stored_states import round_to_8_bit
from compute.sweep.worker.unit_metrics import unit_metrics
from store.metric import MetricValues
from store.shard.reader import UnitReader
from store.sweep_store import SweepStore


def measure(
    store: SweepStore, names: Sequence[str], *, weights: MetricWeights = NO_WEIGHTS
) -> tuple[int, dict[str, str]]:
    """Compute metrics of every finished unit from its stored pictures, without running the model.

    Returns the number of units, and the reason for each metric that is absent on this machine. Raises MetricError for
    an unknown name, and for weights that are named and can't be used.
    """
    source = ModelSource.of_sweep(store.header)
    metric_set = metrics_for(source, names, weights, "cpu")
    check_named_weights(metric_set, weights)
    present = store.present()
    units = [unit for unit in store.header.plan if unit.key in present]

    @lru_cache(maxsize=4)
    def baseline_final(key: str) -> Float32[np.ndarray, "B 3 H W"]:
        with store.read(key, check=True) as reader:
            return reader.final

    def metrics_of(reader: UnitReader) -> tuple[MetricValues, ...]:
        final, baseline = reader.final, None
        if reader.unit.baseline is not None:
            baseline = baseline_final(reader.unit.baseline)
            if final.dtype == np.float16:  # both rounded alike, or the null ablation would have damage
                baseline = round_to_8_bit(baseline)
        return unit_metrics(metric_set, final, baseline, reader.unit)

    with store.drive("measure", maintenance=True), progress_bar("measure", len(units)) as bar:
        for unit in units:
            store.record(store.add_metrics(unit.key, metrics_of))
            bar.advance()
    return len(units), dict(metric_set.absent)
