"""What every search from a sweep begins with: the swept model, and the conditions to run candidates on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from compute.models.equal_prompts import check_different
from compute.models.loading import load_model
from compute.models.long_prompts import long_prompts
from compute.models.model import Model
from compute.models.source import ModelSource
from compute.models.unreadable_prompts import check_prompts
from compute.recommend.goal import NoRecommendation
from compute.recommend.sweep_conditions import search_prompts, tuning_conditions
from store.records import Condition
from store.sampler import SamplerSettings
from store.sweep_store import SweepStore


@dataclass(frozen=True, kw_only=True)
class SweptModel:
    """The loaded model of a sweep, its sampler, and a search's conditions.

    `prompts` are all that the search uses: the sweep's and the conditions'.
    """

    model: Model
    sampler: SamplerSettings
    conditions: tuple[Condition, ...]
    prompts: tuple[str, ...]

    @property
    def guidance(self) -> float:
        """The guidance scale, which all conditions share."""
        return self.conditions[0].guidance


def swept_model(
    store: SweepStore, conditions: Sequence[Condition] | None, *, device: str, report: Callable[[str], None]
) -> SweptModel:
    """Load the model of a sweep, and check the conditions, by default the sweep's own with further seeds.

    `report` is told of prompts that the model cuts. Raises NoRecommendation for a sweep of other weights and one whose
    pipeline was given files, ConfigError for prompts that the model can't read or tell apart.
    """
    settings = store.header.settings
    is_given, chosen = conditions is not None, tuple(conditions or tuning_conditions(store))
    prompts = search_prompts(store, chosen)
    dtype = getattr(torch, str(settings["dtype"]))
    model = load_model(swept_source(store), device=device, dtype=dtype, call=_swept_call(store))
    check_prompts(model.pipe.components, prompts)
    own = (condition.prompt for condition in chosen)
    check_different(model.pipe.components, own, "--prompts" if is_given else "prompts")
    if (long := long_prompts(model.pipe.components, prompts)) is not None:
        report(str(long))
    sampler = SamplerSettings.model_validate(settings["sampler"])
    return SweptModel(model=model, sampler=sampler, conditions=chosen, prompts=prompts)


def swept_source(store: SweepStore) -> ModelSource:
    """Return the source of a sweep's model. Raises NoRecommendation if its weights are not those of the sweep."""
    source = ModelSource.of_sweep(store.header)
    if source.digest != store.header.settings.get("model"):
        raise NoRecommendation(
            f"{store.root}: was swept with other weights of {source.name!r} than those here; sweep these again"
        )
    return source


def _swept_call(store: SweepStore) -> Mapping[str, Any]:
    """Return the further arguments of the pipeline's call. Raises NoRecommendation where they hold files."""
    call: dict[str, Any] = store.header.settings.get("call", {})
    for name, value in call.items():
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(part, dict) for part in value)):
            raise NoRecommendation(
                f"call.{name}: the sweep gave its pipeline a file, which no policy can hold; write the policy by hand "
                "(SkipPolicy.for_pipeline)"
            )
    return call
