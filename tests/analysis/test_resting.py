"""What can rest: by the upper end of the interval, in every window of a range."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.analysis.impact.resting import resting
from store.records import Window
from tests.analysis.synthetic_sweeps import impact_with

WINDOWS = tuple(Window(start=start, stop=start + 2) for start in (0, 2, 4))
IMPACT = impact_with(
    *(("calm", window, 0.005) for window in WINDOWS),
    *(("early", window, 0.5 if window.start == 0 else 0.02) for window in WINDOWS),
    ("once", WINDOWS[2], 0.0),
)


@given(st.integers(0, 6), st.integers(0, 6), st.floats(0, 1))
def test_every_window_within_the_range_passes_by_its_upper_end(start: int, stop: int, threshold: float) -> None:
    found = resting(IMPACT, start=start, stop=stop, threshold=threshold)
    assert found.windows == tuple(w for w in WINDOWS if start <= w.start and w.stop <= stop)
    expected = set()
    for name in ("calm", "early", "once"):
        own = [a for a in IMPACT.ablations if a.ablation.components == (name,) and a.ablation.window in found.windows]
        if own and len(own) == len(found.windows) and all(a.effect.high < threshold for a in own):
            expected.add((name,))
    assert set(found.components) == expected
    assert len(found.passed) == len(expected) * len(found.windows)
    assert len(expected) <= found.tried <= 3


def test_the_least_harmful_comes_first() -> None:
    found = resting(IMPACT, start=2, stop=6, threshold=0.1)
    assert found.components == (("calm",), ("early",)) and found.tried == 2
    assert found.steps == Window(start=2, stop=6)
    assert resting(IMPACT, start=1, stop=2, threshold=0.1).steps is None


def test_one_condition_shows_nothing() -> None:
    lone = replace(IMPACT, ablations=tuple(replace(a, conditions=1) for a in IMPACT.ablations))
    assert not resting(lone, start=0, stop=6, threshold=1.0).components


def test_it_is_a_question_of_damage() -> None:
    with pytest.raises(ValueError, match="has none"):
        resting(impact_with(("a", WINDOWS[0], 0.1), scale="difference"), start=0, stop=6, threshold=0.1)
