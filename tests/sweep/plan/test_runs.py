"""Runs: where each starts, what it costs, and that an intervention is resolved once."""

from __future__ import annotations

from typing import Any

import pytest

from compute.policy.graph import ComponentGraph
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule, ScheduleError
from compute.sweep.plan import runs as runs_module
from compute.sweep.plan.runs import Runs
from store.records import Ablation, Action, PromptSwitch, Reseed, Window
from tests.sweep.plan.small_plan import STEPS, plan_of


def test_runs_start_at_their_window_and_cost_what_is_left(graph: ComponentGraph) -> None:
    plan = plan_of(graph)
    for unit in plan.units:
        run = plan.runs.of(unit.intervention)
        if not isinstance(unit.intervention, Ablation):
            assert (run.start, run.unet_evaluations) == (0, STEPS)
            continue
        window, action = unit.intervention.window, unit.intervention.action
        drops_unet = action.reads_cache and unit.intervention.components == ("unet",)
        assert run.start == (window.start - 1 if action.reads_cache and not drops_unet else window.start)
        reused = 2 if drops_unet else 0
        assert run.unet_evaluations == STEPS - run.start - reused
        assert run.evaluations_from_step_0 == STEPS - reused


def test_a_run_has_the_schedule_of_its_ablation(graph: ComponentGraph) -> None:
    plan = plan_of(graph)
    for unit in plan.units:
        schedule = Schedule.empty(STEPS)
        if isinstance(unit.intervention, Ablation):
            schedule = Schedule.from_ablation(unit.intervention, STEPS)
        assert plan.runs.of(unit.intervention).resolved == resolve(graph, schedule)


def test_a_prompt_switch_starts_at_its_step_and_computes_everything(graph: ComponentGraph) -> None:
    runs = Runs(graph, STEPS)
    run = runs.of(PromptSwitch(step=2, prompts=("a",)))
    assert (run.start, run.unet_evaluations) == (2, STEPS - 2)
    assert run.resolved is runs.of(None).resolved is runs.of(Reseed(offset=1)).resolved


def test_an_intervention_is_resolved_once(
    graph: ComponentGraph,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolved: list[Any] = []
    monkeypatch.setattr(runs_module, "resolve", lambda *arguments: resolved.append(arguments) or resolve(*arguments))
    plan = plan_of(graph)
    for _ in range(2):
        for unit in plan.units:
            plan.runs.of(unit.intervention)
    ablations = {unit.intervention for unit in plan.units if isinstance(unit.intervention, Ablation)}
    assert len(resolved) == len(ablations) + len(plan.impossible) + 1  # full compute


def test_an_ablation_without_anything_to_read_is_refused(graph: ComponentGraph) -> None:
    first_step = Ablation(components=("unet",), window=Window(start=0, stop=1), action=Action(name="reuse"))
    with pytest.raises(ScheduleError, match="no step before it computes unet"):
        Runs(graph, STEPS).of(first_step)
