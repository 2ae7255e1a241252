"""What a worker needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compute.config.schema import Kept, SweepConfig
from compute.metrics.metric_weights import NO_WEIGHTS, MetricWeights
from compute.models.source import ModelSource
from store.sampler import SamplerSettings
from store.sweep_store import SweepStore


@dataclass(frozen=True, kw_only=True)
class WorkerSpec:
    """What a worker needs to know, as plain data that can be sent to another process."""

    store: Path
    token: str
    source: ModelSource
    sampler: SamplerSettings
    dtype: str
    metrics: tuple[str, ...]
    keep: Kept
    call: Mapping[str, Any]
    threads: int
    device: str = "cpu"
    weights: MetricWeights = NO_WEIGHTS

    @classmethod
    def of(
        cls,
        config: SweepConfig,
        source: ModelSource,
        store: SweepStore,
        *,
        threads: int,
        call: Mapping[str, Any] | None = None,
        device: str = "cpu",
        weights: MetricWeights = NO_WEIGHTS,
    ) -> WorkerSpec:
        """Return the specification of a sweep's workers. Only for the driver: it writes a new token into the store."""
        return cls(
            store=store.root,
            token=store.new_token(),
            source=source,
            sampler=config.sampler,
            dtype=config.dtype,
            metrics=config.metrics,
            keep=config.keep,
            call=dict(call or {}),
            threads=threads,
            device=device,
            weights=weights,
        )
