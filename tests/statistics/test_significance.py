"""Sign tests and Holm's correction, against enumeration and definition."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.statistics.significance import ALPHA, conditions_needed, holm, sign_test


@pytest.mark.parametrize("sided", [True, False])
@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_the_p_value_is_the_share_of_as_extreme_signs(count: int, sided: bool) -> None:
    signs = np.array(list(product([-1.0, 1.0], repeat=count)))
    extremes = (signs > 0).sum(1) if sided else np.maximum((signs > 0).sum(1), (signs < 0).sum(1))
    expected = (extremes[None, :] >= extremes[:, None]).mean(1)
    assert sign_test(signs, sided=sided) == pytest.approx(np.minimum(expected, 1))


def test_zeros_and_missing_conditions_are_no_evidence() -> None:
    changes = np.array([[0.0, np.nan, 1.0, 1.0], [0.0, 0.0, np.nan, 0.0]])
    assert sign_test(changes, sided=True) == pytest.approx([0.25, 1.0])


@settings(max_examples=60)
@given(st.lists(st.floats(0, 1) | st.floats(0, 0.01), min_size=1, max_size=12))
def test_holm_is_its_definition(values: list[float]) -> None:
    p_values, flags = np.array(values), holm(np.array(values))
    for number, value in enumerate(values):
        # Rejected: each hypothesis with a p-value no greater passes its own threshold.
        smaller = sorted(v for i, v in enumerate(values) if v < value or (v == value and i <= number))
        assert flags[number] == all(v <= ALPHA / (len(values) - rank) for rank, v in enumerate(smaller))
    assert (p_values[flags] <= ALPHA).all()


def test_of_ablations_that_do_nothing_hardly_any_sweep_flags_one() -> None:
    rng = np.random.default_rng(5)
    wrong = sum(holm(sign_test(rng.normal(size=(30, 20)), sided=False)).any() for _ in range(400))
    assert wrong / 400 <= ALPHA + 0.02


@pytest.mark.parametrize("sided", [True, False])
@given(tests=st.integers(1, 5000))
def test_fewer_conditions_than_needed_can_tell_nothing(tests: int, sided: bool) -> None:
    needed = conditions_needed(tests, sided=sided)
    alike = np.ones((1, needed))
    threshold = ALPHA / tests
    assert sign_test(alike, sided=sided)[0] <= threshold < sign_test(alike[:, 1:], sided=sided)[0]
