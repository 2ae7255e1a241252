"""Where curves turn: against an isotonic regression by its definition, and on curves of known turns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.statistics.crossing import crossings, settling_steps, step_estimate

CURVES = st.lists(st.integers(-6, 6), min_size=2, max_size=12).map(lambda it: np.array(it, dtype=float))


def isotonic(values: np.ndarray) -> np.ndarray:
    """The closest rising curve, by its min-max formula."""
    n = len(values)
    return np.array([max(min(values[a : b + 1].mean() for b in range(i, n)) for a in range(i + 1)) for i in range(n)])


@settings(max_examples=200, deadline=None)
@given(CURVES)
def test_a_crossing_is_where_the_closest_rising_curve_passes_zero(values: np.ndarray) -> None:
    rising, steps = isotonic(values), list(range(len(values)))
    below, above = np.flatnonzero(rising < -1e-12), np.flatnonzero(rising > 1e-12)
    found = crossings(values[None], steps, len(values))[0]
    if not len(below) and not len(above):
        assert np.isnan(found)
        return
    earliest = below[-1] if len(below) else 0
    latest = above[0] if len(above) else len(values)
    assert earliest <= found <= latest


@pytest.mark.parametrize(
    ("values", "turn"),
    [
        ([-1, -1, 1, 1], 15),
        ([-1, -0.5, 1.5, 1], 12.5),
        ([-1, 0, 0, 1], 15),
        ([-1, -1, 0.5, -0.25, 1], 10 + 10 / 1.5),  # one that wavers
        ([1, 1, 1], 0),
        ([-1, -1], 40),
        ([0, 0, 1], 5),
    ],
)
def test_known_turns(values: list[float], turn: float) -> None:
    steps = [10 * i for i in range(len(values))]
    assert crossings(np.array([values], dtype=float), steps, 40)[0] == pytest.approx(turn)


@settings(max_examples=60, deadline=None)
@given(CURVES, st.floats(0.1, 50))
def test_the_size_of_a_balance_does_not_matter(values: np.ndarray, scale: float) -> None:
    steps = list(range(len(values)))
    one, another = crossings(values[None], steps, 20)[0], crossings(values[None] * scale, steps, 20)[0]
    assert one == pytest.approx(another, nan_ok=True)


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ([1, 0.5, 0.1, 0.0], 1 + 0.3 / 0.4),
        ([1, 0.1, 0.4, 0.0], 2 + 0.2 / 0.4),  # for good
        ([0.1, 0.0, 0.0, 0.0], 0),
        ([1, 1, 1, 1], 9),
    ],
)
def test_from_where_a_curve_stays_below(values: list[float], place: float) -> None:
    assert settling_steps(np.array([values], dtype=float), range(4), 9, 0.2)[0] == pytest.approx(place)


def test_a_place_that_is_not_there_is_none() -> None:
    never, samples = np.array([-1.0, -1.0]), np.array([[-1.0, -1.0], [-1.0, 1.0]])
    assert step_estimate(lambda rows: crossings(rows, [0, 1], 2), never, samples, 2) is None
    turns = step_estimate(lambda rows: crossings(rows, [0, 1], 2), samples[1], samples, 2)
    assert turns is not None and turns.mean == 0.5 and turns.high > 1.9
