"""The plan of a sweep: its units, in the order in which they are run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compute.config.errors import ConfigError
from compute.config.schema import SweepConfig
from compute.policy.graph import ComponentGraph
from compute.policy.schedule import ScheduleError
from compute.sweep.plan.ablations import ablations_of, screening_of
from compute.sweep.plan.conditions import conditions_of
from compute.sweep.plan.runs import Runs
from compute.sweep.plan.switches import switches_of
from store.records import (
    RESEED_OFFSET,
    Ablation,
    Action,
    Condition,
    Intervention,
    Reseed,
    Role,
    Unit,
    Window,
    content_key,
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A sweep before it runs: the settings of all units, the units in the order to run them, and their runs.

    `impossible` holds the reason for each ablation that was left out because the schedule's rules refuse it: a `reuse`
    in the first step has nothing to read.
    """

    settings: Mapping[str, Any]
    units: tuple[Unit, ...]
    runs: Runs
    impossible: Mapping[Ablation, str]


def make_plan(config: SweepConfig, settings: Mapping[str, Any], graph: ComponentGraph, folder: Path) -> Plan:
    """Plan the baselines first, then the controls, every ablation and every prompt switch, each batch by batch.

    A relative prompt file lies in `folder`. Raises ConfigError for windows, prompts and actions that don't fit,
    UnknownComponent for patterns without a match.
    """
    conditions, size = conditions_of(config, folder), config.conditions_per_unit
    batches = [conditions[i : i + size] for i in range(0, len(conditions), size)]
    runs = Runs(graph, config.sampler.steps)
    ablations, impossible = _possible(ablations_of(config, graph), runs)
    if not ablations:
        reason = next(iter(impossible.values()), "no component admits any of these actions")
        raise ConfigError(f"actions: nothing is left to sweep: {reason}")
    screened, _ = _possible(screening_of(config, graph), runs)
    baselines = {batch: _unit(settings, "baseline", None, None, batch) for batch in batches}
    interventions: list[tuple[Role, Intervention]] = [("control", control) for control in _controls(runs.steps)]
    interventions += [("ablation", ablation) for ablation in dict.fromkeys([*ablations, *screened])]
    units = [*baselines.values()]
    units += [
        _unit(settings, role, baselines[batch].key, intervention, batch)
        for role, intervention in interventions
        for batch in batches
    ]
    units += [
        _unit(settings, "switch", baselines[batch].key, switch, batch) for switch, batch in switches_of(config, batches)
    ]
    return Plan(settings=settings, units=tuple(units), runs=runs, impossible=impossible)


def _possible(ablations: Iterable[Ablation], runs: Runs) -> tuple[list[Ablation], dict[Ablation, str]]:
    """Return the ablations that can be run, each once, and the reason for each of the others."""
    possible, impossible = [], {}
    for ablation in dict.fromkeys(ablations):
        try:
            runs.of(ablation)
        except ScheduleError as error:
            impossible[ablation] = str(error)
        else:
            possible.append(ablation)
    return possible, impossible


def _controls(steps: int) -> tuple[Intervention, ...]:
    """Return the null ablation, whose damage must be 0, and another seed, whose distance is damage 1."""
    second_half = Window(start=steps // 2, stop=steps)
    null = Ablation(components=(), window=second_half, action=Action(name="compute"))
    return null, Reseed(offset=RESEED_OFFSET)


def _unit(
    settings: Mapping[str, Any],
    role: Role,
    baseline: str | None,
    intervention: Intervention | None,
    conditions: tuple[Condition, ...],
) -> Unit:
    key = content_key(
        {
            "settings": settings,
            "intervention": None if intervention is None else intervention.model_dump(mode="json"),
            "conditions": [condition.model_dump(mode="json") for condition in conditions],
        }
    )
    return Unit(key=key, role=role, baseline=baseline, intervention=intervention, conditions=conditions)
