"""Schedules: one canonical form, made from ablations, refused outside the run."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.policy.schedule import Schedule, ScheduleError
from store.records import Ablation, Action, Window
from tests.policy.graphs import chain, schedules

BYPASS, REUSE, COMPUTE = Action(name="bypass"), Action(name="reuse"), Action(name="compute")


def test_equivalent_schedules_are_equal() -> None:
    one = Schedule(steps=4, actions={2: {"b": BYPASS, "a": REUSE}, 1: {}})
    other = Schedule(steps=4, actions={0: {"c": COMPUTE}, 2: {"a": REUSE, "b": BYPASS, "d": COMPUTE}})
    assert one == other
    assert one.model_dump_json() == other.model_dump_json()
    assert list(one.at(2)) == ["a", "b"]
    assert Schedule(steps=4, actions={0: {"c": COMPUTE}}).is_empty
    assert Schedule.empty(4) == Schedule(steps=4)


def test_an_ablation_acts_in_its_window_only() -> None:
    ablation = Ablation(components=("b", "a"), window=Window(start=1, stop=3), action=BYPASS)
    schedule = Schedule.from_ablation(ablation, steps=4)
    assert list(schedule.entries()) == [(1, "a", BYPASS), (1, "b", BYPASS), (2, "a", BYPASS), (2, "b", BYPASS)]
    assert schedule.action(1, "a") == BYPASS
    assert schedule.action(3, "a") == COMPUTE


def test_the_null_ablation_is_the_empty_schedule() -> None:
    ablation = Ablation(components=(), window=Window(start=0, stop=4), action=BYPASS)
    assert Schedule.from_ablation(ablation, steps=4) == Schedule.empty(4)


def test_a_window_outside_the_run_is_refused() -> None:
    ablation = Ablation(components=("a",), window=Window(start=2, stop=5), action=BYPASS)
    with pytest.raises(ScheduleError, match=r"window \[2, 5\) lies outside the run: .* <= 4 is accepted"):
        Schedule.from_ablation(ablation, steps=4)


@pytest.mark.parametrize("step", [-1, 4])
def test_a_step_outside_the_run_is_refused(step: int) -> None:
    with pytest.raises(ScheduleError, match=rf"step {step} lies outside the run: steps 0 to 3 are accepted"):
        Schedule(steps=4, actions={step: {"a": BYPASS}})


GRAPH = chain("block.0", "block.1", "plain.2", skips=(("block.0", "plain.2"),))


@settings(deadline=None)
@given(st.data())
def test_json_round_trip(data: st.DataObject) -> None:
    schedule = data.draw(schedules(GRAPH))
    assert Schedule.model_validate_json(schedule.model_dump_json()) == schedule
