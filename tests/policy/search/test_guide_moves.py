"""Resting guidance in the search: moves from its evidence, and regular schedules of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compute.policy.cost import NetworkCost
from compute.policy.graph import GUIDANCE
from compute.policy.schedule import Schedule
from compute.policy.search.frontier import frontier
from compute.policy.search.neighbours import neighbours
from compute.policy.search.regular import resting_candidates
from compute.policy.search.search_space import SearchSpace
from store.records import Action
from tests.policy.search.search_spaces import DROP, space_of

REST, NONE = Action(name="reuse"), Action(name="bypass")


def halved(space: SearchSpace) -> SearchSpace:
    """Return a space whose half steps take 60% of the network's time."""
    computed = {name: 0.6 * seconds for name, seconds in space.cost.computed.items()}
    half = NetworkCost(network=0, computed=computed, bypassed=space.cost.bypassed)
    return SearchSpace(space.graph, space.steps, space.evidence, replace(space.cost, half=half))


def test_harmless_guidance_rests() -> None:
    space = halved(space_of((GUIDANCE, REST, (2, 4), 0.0), (GUIDANCE, NONE, (0, 1), 0.9)))
    slowest = frontier(space, ("guide",))[0]
    assert slowest.schedule == Schedule(steps=4, actions={2: {GUIDANCE: REST}, 3: {GUIDANCE: REST}})
    network = space.row_seconds({}) - 1
    assert slowest.seconds == pytest.approx(space.full_seconds - 2 * 0.4 * network)
    assert not any(space.eliminations.values()), "leaving guidance out is no elimination of a part"


def test_no_partial_step_follows_a_half_one() -> None:
    space = halved(space_of((GUIDANCE, REST, (1, 2), 0.0), ("block.1", REST, (2, 3), 0.0), ("unet", DROP, (3, 4), 0.0)))
    assert {tuple(candidate.schedule.actions) for candidate in frontier(space)} <= {(1,), (1, 3), (2,), (2, 3), (3,)}


def test_guidance_rests_from_each_step_on() -> None:
    damages = [(GUIDANCE, REST, (step, step + 1), 0.1 / step) for step in range(1, 4)]
    space = halved(space_of(*damages, (GUIDANCE, NONE, (2, 4), 0.02), (GUIDANCE, NONE, (0, 1), 0.0)))
    candidates = resting_candidates(space)
    assert [list(candidate.schedule.actions) for candidate in candidates] == [[3], [2, 3], [1, 2, 3]]
    assert [candidate.schedule.at(3)[GUIDANCE] for candidate in candidates] == [NONE, NONE, REST]
    assert [candidate.damage for candidate in candidates] == pytest.approx([0.01, 0.02, 0.1 + 0.05 + 0.1 / 3])
    seconds = [candidate.seconds for candidate in candidates]
    assert seconds == sorted(seconds, reverse=True) and seconds[0] < space.full_seconds


def test_a_neighbour_lets_guidance_rest_at_one_more_step() -> None:
    space = halved(space_of((GUIDANCE, REST, (3, 4), 0.1)))
    assert [n.schedule for n in neighbours(space, Schedule.empty(4))] == [
        Schedule(steps=4, actions={3: {GUIDANCE: REST}})
    ]


def test_a_model_without_guidance_has_no_such_moves() -> None:
    space = space_of((GUIDANCE, REST, (2, 4), 0.0))
    assert frontier(space) == [] and resting_candidates(space) == []
