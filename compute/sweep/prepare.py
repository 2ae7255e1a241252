"""A configuration with its model and plan, before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compute.config.schema import SweepConfig
from compute.models.model import Model, load_model
from compute.models.model_metrics import metrics_for
from compute.models.source import ModelSource
from compute.sweep.plan.plan import Plan, make_plan
from compute.sweep.plan.settings import settings_of


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A sweep that is ready to start: its configuration, its model (float32, on the CPU) and its plan."""

    config: SweepConfig
    source: ModelSource
    model: Model
    plan: Plan


def prepare(config: SweepConfig, folder: Path) -> Prepared:
    """Load the model and make the plan. A relative prompt file lies in `folder`.

    Raises SkipscopeError for everything that can be wrong with a configuration.
    """
    source = ModelSource.find(config.model)
    model = load_model(source)
    scheduler = model.scheduler(config.sampler)
    settings = settings_of(config, source.digest, dict(scheduler.config))
    metrics_for(source, config.metrics, None, "cpu")  # refuses unknown names
    return Prepared(config=config, source=source, model=model, plan=make_plan(config, settings, model.graph, folder))
