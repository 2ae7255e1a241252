"""The cost model: a run costs the sum of its steps, and nodes that do not run cost nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.policy.cost import CostModel
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.schedule import Schedule, ScheduleError
from store.records import Action
from tests.policy.cost_models import costs
from tests.policy.graphs import chain, graphs, schedules

DROP = Action(name="reuse", space="x0")


@st.composite
def cases(draw: st.DrawFn) -> tuple[CostModel, ResolvedSchedule]:
    graph = draw(graphs())
    schedule = draw(schedules(graph))
    while True:
        try:
            return draw(costs(graph)), resolve(graph, schedule)
        except ScheduleError:  # remove the last step with actions until the schedule can be resolved
            rows = dict(schedule.actions)
            rows.popitem()
            schedule = Schedule(steps=schedule.steps, actions=rows)


def oracle(cost: CostModel, resolved: ResolvedSchedule) -> float:
    """The seconds, summed node by node from each node's own action."""
    total = cost.run
    for plan in resolved.steps:
        total += cost.step
        if "unet" in resolved.schedule.at(plan.step):
            continue
        total += cost.network
        for name in resolved.graph.nodes:
            if name == "unet" or name in plan.dead:
                continue
            action = resolved.schedule.action(plan.step, name).name
            if action == "compute":
                total += cost.computed[name]
            if action in ("bypass", "reuse_delta") or "delta" in plan.writes.get(name, ()):
                total += cost.bypassed[name]
    return total


@given(cases())
def test_a_run_costs_what_its_nodes_cost(case: tuple[CostModel, ResolvedSchedule]) -> None:
    cost, resolved = case
    assert cost.seconds(resolved) == pytest.approx(oracle(cost, resolved))


@given(cases())
def test_seconds_are_the_sum_over_steps(case: tuple[CostModel, ResolvedSchedule]) -> None:
    cost, resolved = case
    assert cost.seconds(resolved) == pytest.approx(cost.run + sum(map(cost.seconds_of, resolved.steps)))


@given(st.data())
def test_dropping_a_step_never_costs_more(data: st.DataObject) -> None:
    cost, resolved = data.draw(cases())
    steps = resolved.schedule.steps
    whole = [step for step in range(steps) if "unet" not in resolved.schedule.at(step)]
    dropped = data.draw(st.sampled_from(whole))
    rows = {**resolved.schedule.actions, dropped: {"unet": DROP}}
    try:
        changed = resolve(resolved.graph, Schedule(steps=steps, actions=rows))
    except ScheduleError:
        return
    assert cost.seconds(changed) < cost.seconds(resolved)
    assert cost.seconds_of(changed.steps[dropped]) == cost.step


@given(st.data())
def test_dead_and_reused_nodes_cost_nothing(data: st.DataObject) -> None:
    """From full compute: a component that is reused or zero costs nothing, nor do nodes that only it reads."""
    graph = data.draw(graphs())
    cost = data.draw(costs(graph))
    full = cost.seconds(resolve(graph, Schedule.empty(3)))
    name = data.draw(st.sampled_from(graph.names[1:]))
    admitted = [action for action in ("zero", "reuse") if action in graph.component(name).actions]
    action: Any = data.draw(st.sampled_from(admitted))
    changed = resolve(graph, Schedule(steps=3, actions={2: {name: Action(name=action)}}))
    saved = (changed.steps[2].dead | {name}) - {"unet"}
    assert full - cost.seconds(changed) == pytest.approx(sum(cost.computed[node] for node in saved))


def test_reusing_the_input_of_a_decoder_saves_the_deeper_nodes() -> None:
    graph = chain("block.0", "block.1", "block.2", skips=(("block.0", "block.2"),))
    cost = CostModel(
        batch=1, run=1000, step=100, network=10, bypassed={"block.1": 0.25},
        computed={"conv_in": 1, "block.0": 2, "block.1": 4, "block.2": 8, "concat:block.2": 16, "conv_out": 32},
    )  # fmt: skip

    def seconds(**actions: Action) -> float:
        rows = {1: {name.replace("_", ".", 1): action for name, action in actions.items()}}
        return cost.seconds(resolve(graph, Schedule(steps=2, actions=rows))) - 1000 - 110 - 63

    assert seconds() == 110 + 63
    assert seconds(block_1=Action(name="reuse")) == 110 + 59
    assert seconds(block_1=Action(name="bypass")) == 110 + 59.25
    assert seconds(block_2=Action(name="reuse")) == 110 + 32
    assert (
        seconds(block_1=Action(name="reuse_delta")) == 110 + 59.5
    )  # the shortcut runs twice: where it is kept, and where it is read
    assert seconds(unet=DROP) == 100
