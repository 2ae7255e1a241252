"""Extrapolation over uneven steps: polynomials of its degree are continued exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.policy.extrapolation import extrapolated
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule, ScheduleError
from store.records import Action
from tests.policy.graphs import chain

STEPS = st.lists(st.integers(0, 50), min_size=1, max_size=3, unique=True).map(lambda steps: sorted(steps)[::-1])


@given(STEPS, st.lists(st.integers(-9, 9), min_size=3, max_size=3), st.integers(1, 20))
def test_a_polynomial_of_the_degree_is_continued_exactly(sources: list[int], c: list[int], ahead: int) -> None:
    def polynomial(step: int) -> float:
        return float(sum(factor * step**power for power, factor in enumerate(c[: len(sources)])))

    step = sources[0] + ahead
    given_values = [polynomial(source) for source in sources]
    assert extrapolated(step, sources, given_values) == pytest.approx(polynomial(step), rel=1e-9, abs=1e-6)


def test_a_line_is_computed_as_in_earlier_releases() -> None:
    """Content keys of order 1 stand for numbers that were computed in this way."""
    assert extrapolated(7, (5, 2), (0.1, 0.7)) == 0.1 + (0.1 - 0.7) * ((7 - 5) / (5 - 2))


def test_other_numbers_of_values_are_refused() -> None:
    with pytest.raises(ValueError, match="4 values of 4 steps; 1, 2 or 3 are accepted"):
        extrapolated(9, (4, 3, 2, 1), (0.0, 0.0, 0.0, 0.0))


def test_a_parabola_reads_three_steps() -> None:
    graph, parabola = chain("block.0", "plain.1"), {"block.0": Action(name="reuse", order=2)}
    bypass = {"block.0": Action(name="bypass")}
    resolved = resolve(graph, Schedule(steps=6, actions={2: bypass, 5: parabola}))
    assert resolved.steps[5].sources == {"block.0": (4, 3, 1)}
    with pytest.raises(
        ScheduleError,
        match=r"block.0 can't reuse \(order 2\) at step 2: only steps 0 and 1 before it compute .* three earlier steps",
    ):
        resolve(graph, Schedule(steps=3, actions={2: parabola}))
