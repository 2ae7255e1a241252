"""From a configuration to the units of a sweep, each with its content key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compute.config.schema import ConfigError, ScreenedAction, SweepConfig, SweptAction
from compute.policy.graph import ComponentGraph
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.schedule import Schedule, ScheduleError
from store.records import (
    RESEED_OFFSET,
    Ablation,
    Action,
    Condition,
    Intervention,
    PromptSwitch,
    Reseed,
    Role,
    Unit,
    Window,
    content_key,
)

NUMERICS_VERSION = 1
"""Counts changes of this program that change numbers: a higher one gives every unit a new key."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A sweep before it runs: settings shared by all units, the units in the order to run, and what was left out."""

    settings: Mapping[str, Any]
    units: tuple[Unit, ...]
    impossible: Mapping[str, str]
    """Ablations that the schedule's rules refuse (a `reuse` in the first step has nothing to read), and why."""


def settings_of(config: SweepConfig, digest: str, scheduler: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that all units share and that can change their numbers, and nothing else."""
    return {
        "numerics": NUMERICS_VERSION,
        "model": digest,
        "stage": config.stage,
        "sampler": config.sampler.model_dump(mode="json"),
        "scheduler": {key: scheduler[key] for key in sorted(scheduler) if not key.startswith("_")},
        "dtype": config.dtype,
    }


def make_plan(config: SweepConfig, settings: Mapping[str, Any], graph: ComponentGraph, folder: Path) -> Plan:
    """Baselines first, then the controls, every ablation and every prompt switch, batch by batch.

    Raises ConfigError for windows, prompts and actions that don't fit, UnknownComponent for patterns without a match.
    """
    conditions = config.conditions(folder)
    if len(set(conditions)) != len(conditions):
        raise ConfigError("prompts, seeds: the same prompt and seed stand there twice; each condition is swept once")
    size = config.conditions_per_unit
    batches = [conditions[i : i + size] for i in range(0, len(conditions), size)]
    steps = config.sampler.steps
    ablations, impossible = _possible(list(_ablations(config, graph)), graph, steps)
    if not ablations:
        reason = next(iter(impossible.values()), "no component admits any of these actions")
        raise ConfigError(f"actions: nothing is left to sweep: {reason}")
    screened, _ = _possible(list(_screened(config, graph)), graph, steps)
    baselines = {batch: _unit(settings, "baseline", None, None, batch) for batch in batches}
    middle = Window(start=steps // 2, stop=steps)
    null = Ablation(components=(), window=middle, action=Action(name="compute"))
    others: list[tuple[Role, Intervention]] = [("control", null), ("control", Reseed(offset=RESEED_OFFSET))]
    others += [("ablation", ablation) for ablation in dict.fromkeys([*ablations, *screened])]
    units = [*baselines.values()]
    units += [
        _unit(settings, role, baselines[batch].key, intervention, batch)
        for role, intervention in others
        for batch in batches
    ]
    units += [_unit(settings, "switch", baselines[b].key, switch, b) for switch, b in _switches(config, batches)]
    return Plan(settings=settings, units=tuple(units), impossible=impossible)


def schedule_of(intervention: Intervention | None, steps: int) -> Schedule:
    """What a unit's intervention does to the network: nothing for a baseline and for another seed."""
    return Schedule.from_ablation(intervention, steps) if isinstance(intervention, Ablation) else Schedule.empty(steps)


def first_step(intervention: Intervention | None, resolved: ResolvedSchedule) -> int:
    """The step that a unit's run starts from: its window's start, or the step that supplies what the window reads."""
    if isinstance(intervention, PromptSwitch):
        return intervention.step
    if not isinstance(intervention, Ablation):
        return 0
    return resolved.earliest_source(intervention.window.start)


def unet_evaluations(resolved: ResolvedSchedule, start: int) -> int:
    """How often a run from step `start` calls the UNet."""
    return sum(plan.unet is None for plan in resolved.steps[start:])


def _ablations(config: SweepConfig, graph: ComponentGraph) -> Iterator[Ablation]:
    for swept in config.actions:
        yield from _each(swept, config.window_list(), config, graph)


def _screened(config: SweepConfig, graph: ComponentGraph) -> Iterator[Ablation]:
    for screened in config.screen:
        yield from _each(screened, config.screen_windows(screened), config, graph)


def _each(
    swept: SweptAction, windows: Sequence[Window], config: SweepConfig, graph: ComponentGraph
) -> Iterator[Ablation]:
    for name in _admitting(swept, graph.match(config.components), graph):
        for window in windows:
            yield Ablation(components=(name,), window=window, action=swept.action)


def _switches(
    config: SweepConfig, batches: Sequence[tuple[Condition, ...]]
) -> Iterator[tuple[PromptSwitch, tuple[Condition, ...]]]:
    """Each prompt is switched to the next one of the sweep, the last to the first."""
    prompts = list(dict.fromkeys(condition.prompt for batch in batches for condition in batch))
    steps = config.switch_steps()
    if steps and len(prompts) < 2:
        raise ConfigError("prompt_switch: there is one prompt and nothing to switch to; give two or more prompts")
    following = dict(zip(prompts, [*prompts[1:], *prompts[:1]], strict=True))
    for step in steps:
        for batch in batches:
            yield PromptSwitch(step=step, prompts=tuple(following[c.prompt] for c in batch)), batch


def _admitting(swept: SweptAction, chosen: Sequence[str], graph: ComponentGraph) -> list[str]:
    wanted = set(graph.match(swept.components))
    names = [name for name in chosen if name in wanted and swept.action.name in graph.component(name).actions]
    if swept.action.space is not None:
        names = [name for name in names if graph.component(name).kind == "unet"]
    if not names:
        field = "screen" if isinstance(swept, ScreenedAction) else "actions"
        raise ConfigError(f"{field}: no chosen component admits {swept.action}; see the table of actions in the README")
    return names


def _possible(ablations: list[Ablation], graph: ComponentGraph, steps: int) -> tuple[list[Ablation], dict[str, str]]:
    possible, impossible = [], {}
    for ablation in dict.fromkeys(ablations):
        try:
            resolve(graph, Schedule.from_ablation(ablation, steps))
        except ScheduleError as refusal:
            impossible[str(ablation)] = str(refusal)
        else:
            possible.append(ablation)
    return possible, impossible


def _unit(
    settings: Mapping[str, Any],
    role: Role,
    baseline: str | None,
    intervention: Intervention | None,
    conditions: tuple[Condition, ...],
) -> Unit:
    said = None if intervention is None else intervention.model_dump(mode="json")
    described = [condition.model_dump(mode="json") for condition in conditions]
    key = content_key({"settings": settings, "intervention": said, "conditions": described})
    return Unit(key=key, role=role, baseline=baseline, intervention=intervention, conditions=conditions)
