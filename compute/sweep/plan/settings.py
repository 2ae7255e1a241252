"""The settings of a sweep: what all its units share and what can change their numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from compute.config.schema import SweepConfig
from compute.models.other_stage import OtherStage
from store.records import ONLY_STAGE

NUMERICS_VERSION = 2
"""Counts the changes of this program that changed numbers. A new version gives every unit a new key."""
_WITH_ETA = 3
"""The version of `ddim` with `eta`: until then pipelines whose call has an `eta` of its own sampled with 0."""


def settings_of(
    config: SweepConfig,
    digest: str,
    scheduler: Mapping[str, Any],
    call: Mapping[str, Any],
    previous: OtherStage | None = None,
) -> dict[str, Any]:
    """Return the settings, which are part of every unit's key.

    `digest` is that of the model's weights, `scheduler` the scheduler's configuration as diffusers has it, `call` the
    further arguments of the pipeline's call, with digests for files. `previous` is the stage that makes the model's
    input pictures.
    """
    settings = {
        "numerics": _WITH_ETA if config.sampler.name == "ddim" and config.sampler.eta else NUMERICS_VERSION,
        "model": digest,
        "stage": config.stage or ONLY_STAGE,
        "call": dict(call),
        "sampler": config.sampler.model_dump(mode="json"),
        "scheduler": _options(scheduler),
        "dtype": config.dtype,
    }
    return settings if previous is None else settings | {"previous": _of_previous(previous)}


def _of_previous(stage: OtherStage) -> dict[str, Any]:
    """Return what can change the pictures of an earlier stage."""
    model = stage.model
    settings = {
        "model": model.source.digest,
        "stage": model.source.stage,
        "call": dict(model.call),
        "sampler": stage.sampler.model_dump(mode="json"),
        "scheduler": _options(model.scheduler(stage.sampler).config),
        "guidance": stage.guidance,
    }
    return settings if model.previous is None else settings | {"previous": _of_previous(model.previous)}


def _options(scheduler: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _plain(scheduler[key]) for key in sorted(scheduler) if not key.startswith("_")}


def _plain(value: Any) -> Any:
    """Return an option of a scheduler as JSON holds it: DPM-Solver's `lambda_min_clipped` is minus infinity."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
