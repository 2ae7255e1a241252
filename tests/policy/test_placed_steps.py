"""Placing steps by dynamic programming gives what trying every placement gives."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from compute.policy.placed_steps import StepCosts, cheapest_jumps
from compute.policy.schedule import ScheduleError


@st.composite
def costs(draw: st.DrawFn) -> tuple[tuple[float, ...], ...]:
    count = draw(st.integers(1, 7))
    return tuple(tuple(float(draw(st.integers(0, 50))) for _ in range(count - start)) for start in range(count))


@given(costs(), st.data())
def test_no_other_placement_costs_less(table: tuple[tuple[float, ...], ...], data: st.DataObject) -> None:
    end = len(table)
    jumps = data.draw(st.integers(1, end))

    def total(path: tuple[int, ...]) -> float:
        return sum(table[start][stop - start - 1] for start, stop in pairwise((*path, end)))

    found = cheapest_jumps(table, jumps)
    assert len(found) == jumps and found[0] == 0 and list(found) == sorted(set(found))
    assert total(found) == min(total((0, *inner)) for inner in combinations(range(1, end), jumps - 1))


def test_timesteps_are_those_of_the_fine_run() -> None:
    made = StepCosts(timesteps=(900.0, 500.0, 100.0), costs=((0.0, 5.0, 9.0), (0.0, 1.0), (0.0,)))
    assert made.placed(2) == (900.0, 500.0)
    with pytest.raises(ScheduleError, match="4 are asked for; 1 to 3 can be placed on 3 steps"):
        made.placed(4)
    with pytest.raises(ValidationError, match="3 rows of 3 to 1 jumps belong to 3 timesteps"):
        StepCosts(timesteps=(900.0, 500.0, 100.0), costs=((0.0,), (0.0,), (0.0,)))
