"""The steps of prompt switches, and the record of one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from compute.config.schema import SweepConfig
from compute.sweep.plan.switches import switch_steps
from store.records import Condition, PromptSwitch, Unit
from tests.config.minimal_config import MINIMAL


@given(st.integers(1, 40), st.data())
def test_switch_steps_are_sorted_unique_and_include_step_0(steps: int, data: st.DataObject) -> None:
    selected = data.draw(st.one_of(
        st.lists(st.integers(0, steps - 1), min_size=1, max_size=6), st.builds(dict, every=st.integers(1, 50))
    ))  # fmt: skip
    config = SweepConfig.model_validate(
        {**MINIMAL, "sampler": {"name": "ddim", "steps": steps}, "prompt_switch": selected}
    )
    expected = range(0, steps, selected["every"]) if isinstance(selected, dict) else {0, *selected}
    assert switch_steps(config) == tuple(sorted(expected))
    assert SweepConfig.model_validate(config.model_dump(mode="json")) == config


def test_a_switch_has_one_prompt_for_each_condition() -> None:
    condition = Condition(prompt="a", seed=0, guidance=1)
    with pytest.raises(ValidationError, match="one prompt for each condition"):
        Unit(
            key="0" * 64, role="switch", baseline="1" * 64, conditions=(condition, condition),
            intervention=PromptSwitch(step=1, prompts=("b",)),
        )  # fmt: skip
