"""Liveness on graphs of any shape against a slow oracle, and every refusal."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from compute.policy.graph import ComponentGraph, UnknownComponent
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.schedule import Schedule, ScheduleError, StepActions
from store.records import Action
from tests.policy.graphs import chain, graphs, schedules

BYPASS, ZERO = Action(name="bypass"), Action(name="zero")
REUSE, DELTA, ORDER_1 = Action(name="reuse"), Action(name="reuse_delta"), Action(name="reuse", order=1)
DROP = Action(name="reuse", space="x0")


def needed(graph: ComponentGraph, row: StepActions) -> set[str]:
    """The nodes that the output depends on, found by going forwards and listing the ancestors of each value."""
    if "unet" in row:
        return set()
    ancestors: dict[str, set[str]] = {}
    for name in graph.nodes:
        cut = name in row and row[name].name in ("reuse", "zero")
        ancestors[name] = {name}.union(*([] if cut else [ancestors[source] for source in graph.inputs[name]]))
    whole = ancestors["conv_out"] | {"unet", "time_embedding"}
    return whole | {part for name in whole - row.keys() for part in graph.nodes if part.startswith(f"{name}.trans")}


def supplying(graph: ComponentGraph, schedule: Schedule, name: str, step: int) -> list[int]:
    """All earlier steps in which a component is computed and needed, latest first."""
    return [
        earlier
        for earlier in reversed(range(step))
        if name in needed(graph, schedule.at(earlier)) and schedule.action(earlier, name).name == "compute"
    ]


def refused(graph: ComponentGraph, schedule: Schedule) -> bool:
    for step in range(schedule.steps):
        row = schedule.at(step)
        reads = {name: action for name, action in row.items() if action.reads_cache}
        for name, action in reads.items():
            live = name == "unet" or name in needed(graph, row)
            if live and len(supplying(graph, schedule, name, step)) <= action.order:
                return True
    return False


def resolved_or_none(graph: ComponentGraph, schedule: Schedule) -> ResolvedSchedule | None:
    try:
        return resolve(graph, schedule)
    except ScheduleError:
        return None


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_plans_equal_the_oracle(data: st.DataObject) -> None:
    graph = data.draw(graphs())
    schedule = data.draw(schedules(graph))
    resolved = resolved_or_none(graph, schedule)
    assert (resolved is None) == refused(graph, schedule)
    assume(resolved is not None)
    assert resolved is not None
    for plan in resolved.steps:
        row = schedule.at(plan.step)
        live = needed(graph, row)
        assert plan.dead == set(graph.nodes) - live - {"unet"}
        assert plan.computed == live - set(row)
        assert plan.actions == {name: action for name, action in row.items() if name in live or name == "unet"}
        assert plan.sources == {
            name: tuple(supplying(graph, schedule, name, plan.step)[: action.order + 1])
            for name, action in plan.actions.items()
            if action.reads_cache
        }


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_only_values_that_a_later_step_reads_are_kept(data: st.DataObject) -> None:
    graph = data.draw(graphs())
    resolved = resolved_or_none(graph, data.draw(schedules(graph)))
    assume(resolved is not None)
    assert resolved is not None
    kept = {(plan.step, name, part) for plan in resolved.steps for name, parts in plan.writes.items() for part in parts}
    read = {
        (source, name, "delta" if plan.actions[name].name == "reuse_delta" else "value")
        for plan in resolved.steps
        for name, sources in plan.sources.items()
        for source in sources
    }
    assert kept == read
    assert all(name in resolved.steps[step].computed for step, name, _ in kept)
    lasts = resolved.last_reads()
    assert lasts.keys() == {(name, step) for step, name, _ in kept}
    assert all(last > step for (_, step), last in lasts.items())


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_earliest_source_is_the_latest_possible_start(data: st.DataObject) -> None:
    graph = data.draw(graphs())
    resolved = resolved_or_none(graph, data.draw(schedules(graph)))
    assume(resolved is not None)
    assert resolved is not None
    start = data.draw(st.integers(0, len(resolved.steps) - 1))
    possible = [
        first
        for first in range(start + 1)
        if all(
            name == "unet" or min(read) >= first  # the UNet's outputs before the start are replayed
            for plan in resolved.steps[first:]
            for name, read in plan.sources.items()
        )
    ]
    assert resolved.earliest_source(start) == max(possible)


def test_the_empty_schedule_computes_everything() -> None:
    graph = chain("block.0", "block.1")
    resolved = resolve(graph, Schedule.empty(3))
    assert all(plan.computed == set(graph.nodes) and not plan.dead and not plan.writes for plan in resolved.steps)
    assert [resolved.flops(step) for step in range(3)] == [graph.total_flops] * 3
    assert resolved.total_flops == 3 * graph.total_flops


DEEP = chain("down.0", "deep.1", "deep.2", "up.3", skips=(("down.0", "up.3"),))


def test_reusing_the_input_of_a_decoder_makes_the_deeper_network_dead() -> None:
    resolved = resolve(DEEP, Schedule(steps=3, actions={1: {"deep.2": REUSE}, 2: {"deep.2": REUSE}}))
    assert resolved.steps[1].dead == {"deep.1"}
    assert resolved.steps[2].sources == {"deep.2": (0,)}
    assert resolved.steps[0].writes == {"deep.2": frozenset({"value"})}
    assert resolved.flops(1) == DEEP.total_flops - DEEP.component("deep.1").flops - DEEP.component("deep.2").flops


def test_reusing_the_residual_keeps_its_input_alive() -> None:
    resolved = resolve(DEEP, Schedule(steps=2, actions={1: {"deep.2": DELTA}}))
    deep = DEEP.component("deep.2")
    assert not resolved.steps[1].dead
    assert resolved.steps[0].writes == {"deep.2": frozenset({"delta"})}
    assert resolved.flops(1) == DEEP.total_flops - deep.flops + deep.bypass_flops
    assert resolved.flops(0) == DEEP.total_flops + deep.bypass_flops, "the residual is the output less the shortcut"


def test_a_dead_component_is_no_source() -> None:
    actions = {1: {"deep.2": REUSE}, 2: {"deep.1": REUSE}}
    resolved = resolve(DEEP, Schedule(steps=3, actions=actions))
    assert resolved.steps[2].sources == {"deep.1": (0,)}, "deep.1 was dead at step 1"
    with pytest.raises(ScheduleError, match=r"deep.1 can't reuse at step 2: no step before it computes deep.1"):
        resolve(DEEP, Schedule(steps=3, actions={0: {"deep.1": BYPASS}, **actions}))


def test_a_dead_reuse_reads_nothing() -> None:
    schedule = Schedule(steps=2, actions={0: {"deep.1": BYPASS}, 1: {"deep.2": REUSE, "deep.1": REUSE}})
    assert resolve(DEEP, schedule).steps[1].sources == {"deep.2": (0,)}


def test_dropped_steps_are_no_source_and_cost_nothing() -> None:
    resolved = resolve(DEEP, Schedule(steps=4, actions={1: {"unet": DROP}, 2: {"deep.2": REUSE}, 3: {"unet": DROP}}))
    assert resolved.steps[2].sources == {"deep.2": (0,)}
    assert [plan.unet for plan in resolved.steps] == [None, DROP, None, DROP]
    assert resolved.steps[3].sources == {"unet": (2,)}
    assert resolved.flops(1) == 0
    assert resolved.earliest_source(2) == 0


def test_order_1_reads_the_last_two_computed_steps() -> None:
    resolved = resolve(DEEP, Schedule(steps=5, actions={2: {"deep.2": BYPASS}, 4: {"deep.2": ORDER_1}}))
    assert resolved.steps[4].sources == {"deep.2": (3, 1)}
    assert resolved.earliest_source(4) == 1


def test_unet_reuses_its_noise_prediction_by_default() -> None:
    resolved = resolve(DEEP, Schedule(steps=2, actions={1: {"unet": REUSE}}))
    assert resolved.steps[1].unet == Action(name="reuse", space="eps")


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (
            {2: {"plain.1": BYPASS}},
            "plain.1 can't bypass at step 2: a plain convolution has no shortcut to fall back on",
        ),
        ({2: {"plain.1": DELTA}}, "plain.1 can't reuse_delta at step 2: .*accepted for it: compute, reuse$"),
        (
            {2: {"block.0": ZERO}},
            "block.0 can't zero at step 2: .*accepted for it: compute, bypass, reuse, reuse_delta",
        ),
        ({1: {"skip:block.0": BYPASS}}, "skip:block.0 can't bypass at step 1: .*accepted for it: compute, zero, reuse"),
        ({1: {"unet": BYPASS}}, "unet can't bypass at step 1: .*accepted for it: compute, reuse"),
        ({1: {"block.0": DROP}}, r"block.0 can't reuse \(x0\) at step 1: a space belongs to unet"),
        ({0: {"block.0": REUSE}}, "block.0 can't reuse at step 0: no step before it computes block.0"),
        ({0: {"block.0": DELTA}}, "block.0 can't reuse_delta at step 0: no step before it"),
        (
            {1: {"block.0": ORDER_1}},
            r"block.0 can't reuse \(order 1\) at step 1: only step 0 before it .* two earlier steps",
        ),
        ({0: {"unet": DROP}}, r"unet can't reuse \(x0\) at step 0: no step before it"),
        (
            {1: {"unet": DROP, "block.0": BYPASS}},
            r"unet can't reuse \(x0\) at step 1 beside block.0: unet alone is accepted",
        ),
        ({0: {"block.0": BYPASS}, 1: {"block.0": REUSE}}, "block.0 can't reuse at step 1: no step before it computes"),
    ],
)
def test_refusals(actions: dict[int, dict[str, Action]], message: str) -> None:
    graph = chain("block.0", "plain.1", "block.2", skips=(("block.0", "block.2"),))
    with pytest.raises(ScheduleError, match=message) as caught:
        resolve(graph, Schedule(steps=3, actions=actions))
    assert "\n" not in str(caught.value)


FORMER = chain("block.0", "former.1", "block.2")
ATTENTION, FEED_FORWARD = "former.1.transformer_blocks.0.attn1", "former.1.transformer_blocks.0.ff"


def test_a_part_costs_its_share_of_its_transformer() -> None:
    rows = {1: {ATTENTION: REUSE}, 2: {ATTENTION: BYPASS, FEED_FORWARD: REUSE}}
    resolved = resolve(FORMER, Schedule(steps=3, actions=rows))
    attention, feed_forward = FORMER.component(ATTENTION).flops, FORMER.component(FEED_FORWARD).flops
    saved = [FORMER.total_flops - resolved.flops(step) for step in range(3)]
    bypass_flops = FORMER.component(ATTENTION).bypass_flops
    assert saved == [0, attention, attention + feed_forward - bypass_flops]
    assert not resolved.steps[1].dead
    assert FORMER.total_flops == 1 + 2 + 3 + 4 + 16 + 64


def test_an_action_of_a_transformer_makes_its_parts_dead_whatever_their_action() -> None:
    rows = {1: {"former.1": DELTA, ATTENTION: REUSE}, 2: {ATTENTION: REUSE}}
    resolved = resolve(FORMER, Schedule(steps=3, actions=rows))
    assert resolved.steps[1].dead == {ATTENTION, FEED_FORWARD}
    assert resolved.steps[1].sources == {"former.1": (0,)}
    assert resolved.steps[2].sources == {ATTENTION: (0,)}


def test_a_part_of_a_transformer_that_was_not_computed_is_no_source() -> None:
    rows = {0: {"former.1": BYPASS}, 1: {ATTENTION: REUSE}}
    with pytest.raises(ScheduleError, match="attn1 can't reuse at step 1: no step before it computes"):
        resolve(FORMER, Schedule(steps=2, actions=rows))


def test_an_unknown_component_is_refused() -> None:
    with pytest.raises(UnknownComponent, match=r"'deep\.3'.*near names: deep\.[12]"):
        resolve(DEEP, Schedule(steps=2, actions={1: {"deep.3": BYPASS}}))
