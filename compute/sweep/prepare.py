"""A configuration with its model and plan, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compute.config.call_values import call_key, call_values
from compute.config.errors import ConfigError
from compute.config.schema import SweepConfig
from compute.metrics.metric_weights import NO_WEIGHTS, MetricWeights
from compute.models.equal_prompts import check_different
from compute.models.loading import load_model
from compute.models.model import Model
from compute.models.model_metrics import check_named_weights, metrics_for
from compute.models.source import ModelSource
from compute.models.unreadable_prompts import check_prompts
from compute.policy.graph import GUIDANCE, ComponentGraph
from compute.sweep.plan.conditions import read_prompts
from compute.sweep.plan.plan import Plan, make_plan
from compute.sweep.plan.settings import settings_of


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A sweep that is ready to start: its configuration, its model (float32, on the CPU) and its plan."""

    config: SweepConfig
    source: ModelSource
    model: Model
    plan: Plan
    call: Mapping[str, Any]
    """The further arguments of the pipeline's call, with pictures loaded."""


def prepare(config: SweepConfig, folder: Path, weights: MetricWeights = NO_WEIGHTS) -> Prepared:
    """Load the model, try a run without its UNet, and make the plan. Relative paths lie in `folder`.

    The configuration's sampler then says how many steps a run really makes.

    Raises SkipscopeError for everything that can be wrong with a configuration.
    """
    source = ModelSource.find(config.model, config.stage)
    metric_set = metrics_for(source, config.metrics, weights, "cpu")  # refuses unknown names
    check_named_weights(metric_set, weights)
    call = call_values(config, folder)
    model = load_model(source, call=call)
    _check_prompts(config, model, folder)
    sampler = model.resolved(config.sampler, config.guidance)
    config = config.model_copy(update={"sampler": sampler, "stage": source.stage})
    metric_set.check_size(model.probe(config.sampler, config.guidance).picture_shape[1:])
    settings = settings_of(
        config, source.digest, dict(model.scheduler(sampler).config), call_key(config, folder), model.previous
    )
    plan = make_plan(config, settings, _swept_graph(config, model), folder)
    return Prepared(config=config, source=source, model=model, plan=plan, call=call)


def _swept_graph(config: SweepConfig, model: Model) -> ComponentGraph:
    """Return the graph of the components that can be swept: `guidance` is one where runs guide in one batch.

    Raises ConfigError where the configuration names it and they don't.
    """
    if model.guides_in_one_batch(config.sampler, config.guidance):
        return model.graph.guided
    named = [*config.components, *(name for swept in (*config.actions, *config.screen) for name in swept.components)]
    if {GUIDANCE, f"kind:{GUIDANCE}"} & set(named):
        raise ConfigError(
            f"components: guidance can't rest: a {type(model.pipe).__name__} at guidance {config.guidance:g} does not "
            "guide by two halves of one batch; leave it out"
        )
    return model.graph


def _check_prompts(config: SweepConfig, model: Model, folder: Path) -> None:
    """Raise ConfigError for missing and superfluous prompts, and for those that the model can't read or tell apart."""
    name = type(model.pipe).__name__
    if config.prompts is None and model.takes_prompts:
        raise ConfigError(f"prompts: is missing; a {name} samples from texts")
    if config.prompts is not None and not model.takes_prompts:
        raise ConfigError(f"prompts: a {name} takes none; leave prompts out")
    if config.prompts is not None:
        prompts = read_prompts(config.prompts, folder)
        check_prompts(model.pipe.components, prompts)
        check_different(model.pipe.components, prompts, "prompts")
