"""The frontier: its candidates can be executed, are costed correctly, and trade time against damage."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule
from compute.policy.search.candidate import Candidate
from compute.policy.search.frontier import frontier
from compute.policy.search.move import MOVE_KINDS, MoveKind
from compute.policy.search.neighbours import neighbours
from compute.policy.search.search_space import SearchSpace
from store.records import Action
from tests.policy.search.search_spaces import DROP, GRAPH, search_spaces, space_of
from tests.policy.search.summed_damage import least_damage

ALL_ACTIONS = ("bypass", "zero", "reuse", "reuse_delta")


@settings(max_examples=60, deadline=None)
@given(search_spaces(ALL_ACTIONS), st.sampled_from([MOVE_KINDS, *((kind,) for kind in MOVE_KINDS)]))
def test_candidates_have_the_damage_and_seconds_of_their_schedule(
    space: SearchSpace, kinds: Sequence[MoveKind]
) -> None:
    for candidate in frontier(space, kinds):
        resolved = resolve(space.graph, candidate.schedule)
        assert candidate.schedule.steps == space.steps
        assert not candidate.schedule.is_empty
        assert candidate.seconds == space.cost.seconds(resolved)
        assert candidate.damage == pytest.approx(least_damage(candidate.schedule, space.evidence), abs=1e-9)
        assert kinds_in(candidate.schedule) <= set(kinds)


def kinds_in(schedule: Schedule) -> set[MoveKind]:
    kinds: set[MoveKind] = set()
    for _, name, action in schedule.entries():
        kinds.add("drop" if name == "unet" else "partial" if action.reads_cache else "bypass")
    return kinds


@settings(max_examples=60, deadline=None)
@given(search_spaces())
def test_along_the_frontier_less_time_costs_more_damage(space: SearchSpace) -> None:
    candidates = frontier(space)
    for slower, faster in zip(candidates, candidates[1:], strict=False):
        assert slower.seconds >= faster.seconds
        assert slower.damage <= faster.damage + 1e-12
    schedules = [candidate.schedule for candidate in candidates]
    assert all(one != other for one, other in combinations(schedules, 2))
    assert all(candidate.seconds < space.full_seconds for candidate in candidates)


def test_harmless_steps_are_dropped() -> None:
    space = space_of(("unet", DROP, (1, 2), 0.0), ("unet", DROP, (3, 4), 0.5))
    slowest, *_ = frontier(space)
    assert slowest == Candidate(
        schedule=Schedule(steps=4, actions={1: {"unet": DROP}}), damage=0.0, seconds=space.full_seconds - 90
    )


def test_moves_that_save_most_for_their_damage_come_first() -> None:
    bypass = Action(name="bypass")
    space = space_of(("unet", DROP, (3, 4), 0.09), ("block.1", bypass, (1, 2), 0.0135))
    assert [list(candidate.schedule.actions) for candidate in frontier(space)] == [[3], [1, 3]]
    cheap_bypass = space_of(("unet", DROP, (3, 4), 0.09), ("block.1", bypass, (1, 2), 0.006))
    assert [list(candidate.schedule.actions) for candidate in frontier(cheap_bypass)] == [[1], [1, 3]]


def test_of_two_measurements_of_one_move_the_lesser_damage_counts() -> None:
    """A step may lie in two windows, and a schedule may be reached in two ways, in any order of the evidence."""
    bypass = Action(name="bypass")
    rows = (("block.1", bypass, (0, 4), 0.4), ("block.1", bypass, (2, 3), 0.01))
    for order in (rows, rows[::-1]):
        space = space_of(*order)
        first = neighbours(space, Schedule.empty(4))[0]
        assert (first.damage, list(first.schedule.actions)) == (0.01, [2])
        for candidate in frontier(space):
            assert candidate.damage == pytest.approx(least_damage(candidate.schedule, space.evidence))


def test_without_evidence_there_are_no_candidates() -> None:
    assert frontier(space_of()) == []
    assert neighbours(space_of(), Schedule.empty(4)) == []


def test_a_component_is_read_only_from_a_step_that_computed_it() -> None:
    """block.3 is bypassed everywhere and reused at the end, both without damage: a schedule can't do both."""
    bypass, reuse = Action(name="bypass"), Action(name="reuse")
    space = space_of(("block.3", bypass, (0, 4), 0.0), ("block.3", reuse, (3, 4), 0.0))
    candidates = frontier(space)
    assert candidates
    for candidate in candidates:
        resolve(GRAPH, candidate.schedule)
    assert min(candidate.seconds for candidate in candidates) <= space.full_seconds - 36
