"""Prompt switches in a sweep's table."""

from __future__ import annotations

from collections.abc import Callable

from store.folder.header import SweepHeader
from store.records import PromptSwitch, Unit, content_key
from store.shard.payload import UnitPayload
from store.sweep_reader import sweep_table
from store.sweep_store import SweepStore


def test_the_table_has_step_and_prompts_of_a_switch(filled: SweepStore, payload: Callable[..., UnitPayload]) -> None:
    baseline = filled.header.plan[0]
    switch = Unit(
        key=content_key("switch"),
        role="switch",
        baseline=baseline.key,
        intervention=PromptSwitch(step=2, prompts=("a dog", "a horse")),
        conditions=baseline.conditions,
    )
    with filled.drive("a test"):
        filled.extend(SweepHeader(settings=filled.header.settings, plan=(*filled.header.plan, switch)))
        filled.record(filled.write(switch, payload(switch)))
    table = sweep_table(filled)
    own = table["role"] == "switch"
    assert table["switch_step"][own].tolist() == [2, 2]
    assert table["switch_prompt"][own].tolist() == ["a dog", "a horse"]
    assert table["prompt"][own].tolist() == [condition.prompt for condition in baseline.conditions]
    assert set(table["switch_step"][~own].tolist()) == {-1} and set(table["switch_prompt"][~own]) == {""}
