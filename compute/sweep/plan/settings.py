"""The settings of a sweep: what all its units share and what can change their numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from compute.config.schema import SweepConfig

NUMERICS_VERSION = 2
"""Counts the changes of this program that changed numbers. A new version gives every unit a new key."""


def settings_of(
    config: SweepConfig, digest: str, scheduler: Mapping[str, Any], call: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the settings, which are part of every unit's key.

    `digest` is that of the model's weights, `scheduler` the scheduler's configuration as diffusers has it, `call` the
    further arguments of the pipeline's call, with digests for files.
    """
    return {
        "numerics": NUMERICS_VERSION,
        "model": digest,
        "stage": config.stage,
        "call": dict(call),
        "sampler": config.sampler.model_dump(mode="json"),
        "scheduler": {key: _plain(scheduler[key]) for key in sorted(scheduler) if not key.startswith("_")},
        "dtype": config.dtype,
    }


def _plain(value: Any) -> Any:
    """Return an option of a scheduler as JSON holds it: DPM-Solver's `lambda_min_clipped` is minus infinity."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
