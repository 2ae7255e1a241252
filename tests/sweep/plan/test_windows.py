"""Windows of ablations divide or lie within the steps; screening has every window of a length."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from compute.config.errors import ConfigError
from compute.config.schema import SweepConfig
from compute.sweep.plan.windows import ablation_windows, screening_windows
from store.records import Window
from tests.config.minimal_config import MINIMAL


def config_of(steps: int, **fields: Any) -> SweepConfig:
    return SweepConfig.model_validate({**MINIMAL, "sampler": {"name": "ddim", "steps": steps}, **fields})


@given(st.integers(1, 200), st.data())
def test_counted_windows_divide_the_steps(steps: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, steps))
    windows = ablation_windows(config_of(steps, windows={"count": count}))
    assert len(windows) == count
    assert [step for window in windows for step in range(window.start, window.stop)] == list(range(steps))
    lengths = [window.stop - window.start for window in windows]
    assert max(lengths) - min(lengths) <= 1


@given(st.integers(1, 50), st.integers(0, 60), st.integers(0, 60))
def test_windows_lie_within_the_steps(steps: int, start: int, stop: int) -> None:
    if stop <= start:
        with pytest.raises(ValidationError, match="is empty"):
            config_of(steps, windows=[[start, stop]])
    elif stop <= steps:
        assert ablation_windows(config_of(steps, windows=[[start, stop]])) == (Window(start=start, stop=stop),)
    else:
        with pytest.raises(ConfigError, match=re.escape(f"0 <= start < stop <= {steps} is accepted")):
            ablation_windows(config_of(steps, windows=[[start, stop]]))


def test_more_windows_than_steps_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"windows\.count: 4 windows of 3 steps; at most 3 is accepted"):
        ablation_windows(config_of(3, windows={"count": 4}))


@given(st.integers(1, 12), st.lists(st.integers(1, 14), min_size=1, max_size=3))
def test_screening_has_every_window_of_each_length(steps: int, lengths: list[int]) -> None:
    (screened,) = config_of(steps, screen=[{"name": "reuse", "lengths": lengths}]).screen
    if max(lengths) > steps:
        with pytest.raises(ConfigError, match=re.escape(f"screen: length {max(lengths)} of {steps} steps")):
            screening_windows(screened, steps)
        return
    windows = screening_windows(screened, steps)
    assert len(set(windows)) == len(windows) == sum(steps - length + 1 for length in set(lengths))
    assert all(0 <= window.start < window.stop <= steps for window in windows)
    assert {window.stop - window.start for window in windows} == set(lengths)
