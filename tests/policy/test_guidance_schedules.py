"""Guidance in schedules: which steps it reads, what it halves, and which reads across halves are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from compute.policy.cost import CostModel, NetworkCost
from compute.policy.graph import GUIDANCE, UNET, ComponentGraph, UnknownComponent, network_as_one
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.schedule import Schedule, ScheduleError
from store.records import Action
from tests.policy.cost_models import costs
from tests.policy.graphs import chain, graphs, schedules

REST, LINE, NONE = Action(name="reuse"), Action(name="reuse", order=1), Action(name="bypass")
GRAPH = chain("block.0", "block.1", "plain.2", "block.3", skips=(("block.0", "block.3"),))


@st.composite
def with_rests(draw: st.DrawFn, schedule: Schedule) -> Schedule:
    """A schedule in which guidance has an action at some of the steps that run the network."""
    rows = {step: dict(schedule.at(step)) for step in range(schedule.steps)}
    for row in rows.values():
        if UNET not in row and draw(st.booleans()):
            row[GUIDANCE] = draw(st.sampled_from([REST, LINE, NONE]))
    return Schedule(steps=schedule.steps, actions=rows)


def sources_of_guidance(schedule: Schedule, step: int) -> list[int]:
    return [s for s in reversed(range(step)) if not schedule.at(s).keys() & {GUIDANCE, UNET}]


def crosses(schedule: Schedule, without: ResolvedSchedule) -> bool:
    """Whether a full step reads what a half one computed."""
    return any(
        GUIDANCE in schedule.at(source)
        for plan in without.steps
        if GUIDANCE not in schedule.at(plan.step)
        for name, sources in plan.sources.items()
        if name != UNET
        for source in sources
    )


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_guidance_changes_nothing_of_other_components(data: st.DataObject) -> None:
    graph = data.draw(graphs())
    plain = data.draw(schedules(graph))
    try:
        without = resolve(graph, plain)
    except ScheduleError:
        assume(False)
        raise
    schedule = data.draw(with_rests(plain))
    lacks = any(
        len(sources_of_guidance(schedule, step)) <= action.order
        for step, name, action in schedule.entries()
        if name == GUIDANCE and action.reads_cache
    )
    if lacks or crosses(schedule, without):
        with pytest.raises(ScheduleError):
            resolve(graph, schedule)
        return
    resolved = resolve(graph, schedule)
    for step, (plan, other) in enumerate(zip(resolved.steps, without.steps, strict=True)):
        action = schedule.at(step).get(GUIDANCE)
        assert plan.guidance == action
        expected = () if action is None or not action.reads_cache else tuple(sources_of_guidance(schedule, step))
        assert plan.sources.get(GUIDANCE, ()) == expected[: 1 + (action.order if action else 0)]
        own = {GUIDANCE}
        assert plan.computed - own == other.computed and plan.dead - own == other.dead
        assert {name: steps for name, steps in plan.sources.items() if name != GUIDANCE} == other.sources
        assert {name: parts for name, parts in plan.writes.items() if name != GUIDANCE} == other.writes
        assert resolved.flops(step) == (without.flops(step) if action is None else without.flops(step) // 2)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_half_step_costs_what_was_measured_of_it(data: st.DataObject) -> None:
    graph = data.draw(graphs())
    whole, half = data.draw(costs(graph)), data.draw(costs(graph))
    cost = replace(whole, half=NetworkCost(network=half.network, computed=half.computed, bypassed=half.bypassed))
    plain = Schedule(steps=3, actions={2: {graph.names[1]: REST}})
    row = {GUIDANCE: NONE}
    resolved = resolve(graph, Schedule(steps=3, actions={1: row, 2: {**plain.at(2), **row}}))
    expected = [replace(half, step=whole.step).seconds_of(plan) for plan in resolve(graph, plain).steps]
    assert cost.seconds_of(resolved.steps[0]) == whole.seconds_of(resolve(graph, plain).steps[0])
    assert [cost.seconds_of(plan) for plan in resolved.steps[1:]] == pytest.approx(expected[1:])
    with pytest.raises(ScheduleError, match="guidance can't rest at step 1: the runs that were timed"):
        whole.seconds(resolved)


def test_a_full_step_that_reads_a_half_one_names_both() -> None:
    rows = {1: {GUIDANCE: REST}, 2: {"block.1": REST}}
    with pytest.raises(ScheduleError, match=r"block\.1 can't reuse at step 2: step 1, which it would read"):
        resolve(GRAPH, Schedule(steps=3, actions=rows))
    resolve(GRAPH, Schedule(steps=3, actions={1: {GUIDANCE: REST}, 2: {"block.1": REST, GUIDANCE: REST}}))
    resolve(GRAPH, Schedule(steps=3, actions={1: {GUIDANCE: REST, "block.1": REST}, 2: {"block.1": REST}}))


def test_a_dropped_step_may_read_a_step_whose_guidance_rested() -> None:
    resolved = resolve(GRAPH, Schedule(steps=4, actions={1: {GUIDANCE: NONE}, 2: {GUIDANCE: NONE}, 3: {UNET: LINE}}))
    assert resolved.steps[3].sources == {UNET: (2, 1)}


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({GUIDANCE: Action(name="zero")}, "a component of kind guidance does not admit it"),
        ({GUIDANCE: Action(name="reuse_delta")}, "accepted for it: compute, bypass, reuse"),
        ({GUIDANCE: Action(name="reuse", space="x0")}, "a space belongs to unet"),
        ({GUIDANCE: REST, UNET: REST}, "unet alone is accepted"),
    ],
)
def test_what_guidance_does_not_admit(row: dict[str, Action], line: str) -> None:
    with pytest.raises(ScheduleError, match=line):
        resolve(GRAPH, Schedule(steps=3, actions={2: row}))


def test_a_graph_has_guidance_where_it_is_asked_for() -> None:
    with pytest.raises(UnknownComponent):
        GRAPH.component(GUIDANCE)
    for graph in (GRAPH, network_as_one()):
        guided = graph.guided
        assert guided.guided is guided and guided.names == (*graph.names, GUIDANCE)
        assert guided.total_flops == graph.total_flops
        assert guided.component(GUIDANCE).flops == guided.component(UNET).flops // 2
        assert guided.match(["kind:guidance"]) == guided.match(["guid*"]) == (GUIDANCE,)
        assert ComponentGraph.from_json(guided.to_json()) == guided
    assert isinstance(CostModel, type)
