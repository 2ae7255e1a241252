"""Neighbours: faster schedules that differ by one move, in the order of their price."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule
from compute.policy.search.frontier import frontier
from compute.policy.search.neighbours import neighbours
from compute.policy.search.search_space import SearchSpace
from tests.policy.search.search_spaces import search_spaces
from tests.policy.search.summed_damage import row_of


@settings(max_examples=40, deadline=None)
@given(search_spaces(("bypass", "zero", "reuse", "reuse_delta")), st.data())
def test_neighbours_are_faster_by_one_move_of_the_evidence(space: SearchSpace, data: st.DataObject) -> None:
    schedules = [Schedule.empty(space.steps), *(candidate.schedule for candidate in frontier(space))]
    start = data.draw(st.sampled_from(schedules))
    for neighbour in neighbours(space, start):
        assert neighbour.seconds == space.cost.seconds(resolve(space.graph, neighbour.schedule))
        assert neighbour.seconds < space.seconds(start)
        changed = [step for step in range(space.steps) if neighbour.schedule.at(step) != start.at(step)]
        moved = range(changed[0], changed[-1] + 1)  # those of them that did the same before are unchanged
        assert any(
            all(row_of(item.ablation).items() <= neighbour.schedule.at(step).items() for step in moved)
            and set(moved) <= set(range(item.ablation.window.start, item.ablation.window.stop))
            for item in space.evidence
        )


@settings(max_examples=40, deadline=None)
@given(search_spaces())
def test_neighbours_that_save_most_for_their_damage_come_first(space: SearchSpace) -> None:
    candidates = neighbours(space, Schedule.empty(space.steps))
    prices = [candidate.damage / (space.full_seconds - candidate.seconds) for candidate in candidates]
    assert prices == sorted(prices)
    assert all(one.schedule != other.schedule for one, other in combinations(candidates, 2))
