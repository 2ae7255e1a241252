"""A policy costs what its file's size allows, however many components and steps its rules name together."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from compute.policy.graph import UnknownComponent, network_as_one
from compute.policy.liveness import resolve
from compute.policy.rules import Rule, rules_of, schedule_of_rules
from compute.policy.schedule import Schedule, ScheduleError
from compute.policy.skip_policy import SkipPolicy
from store.records import Action, Window
from tests.policy.graphs import chain
from tests.policy.policies import document, unet_rule

NAMES = [f"{number:x}" for number in range(1000)]


def _rule(start: int, stop: int, names: list[str]) -> dict[str, Any]:
    return unet_rule(start, stop) | {"components": names}


MANY = {
    "one rule of all": [_rule(0, 1000, NAMES)],
    "one name a thousand times": [_rule(0, 1000, ["mid_block"] * 600)],
    "every window inside the one before": [_rule(place, 1000 - place, NAMES[9 * place :][:9]) for place in range(60)],
    "windows side by side": [_rule(10 * place, 10 * place + 9, NAMES[:7]) for place in range(65)],
}


@contextmanager
def seconds_at_most(limit: float) -> Iterator[None]:
    """Fail if the body takes more seconds of this process."""
    start = time.process_time()
    yield
    assert time.process_time() - start < limit


@pytest.mark.parametrize("case", MANY)
def test_a_small_file_is_read_written_and_refused_quickly(case: str) -> None:
    data = document(rules=MANY[case])
    data["sampler"]["steps"] = 1000
    text = json.dumps(data, separators=(",", ":"))
    assert len(text) < 10_000
    with seconds_at_most(0.5):
        policy = SkipPolicy.loads(text)
        assert policy.digest and SkipPolicy.loads(policy.dumps()).digest == policy.digest
        policy.resampled(500)
        with pytest.raises(UnknownComponent):
            resolve(chain("a", "b"), policy.schedule)


def test_a_policy_of_too_many_entries_is_refused_quickly() -> None:
    rules = [_rule(place, 1000, [f"{place}.{number}" for number in range(80)]) for place in range(900)]
    data = document(rules=rules)
    data["sampler"]["steps"] = 1000
    with seconds_at_most(5), pytest.raises(Exception, match="hold more than 200000 actions"):
        SkipPolicy.loads(json.dumps(data))


def test_a_graph_times_steps_without_end_is_refused() -> None:
    with seconds_at_most(1), pytest.raises(ScheduleError, match="at most 2000000 in all"):
        resolve(network_as_one(), Schedule.empty(1_000_001))


def test_rules_and_steps_say_the_same() -> None:
    """The slow meaning of rules: each of a rule's components has its action at each step of its window."""
    reuse, bypass = Action(name="reuse"), Action(name="bypass")
    rules = [
        Rule(components=("a", "b"), window=Window(start=1, stop=4), action=reuse),
        Rule(components=("b",), window=Window(start=3, stop=6), action=reuse),
        Rule(components=("c",), window=Window(start=0, stop=2), action=bypass),
        Rule(components=("c",), window=Window(start=5, stop=7), action=bypass),
    ]
    rows: dict[int, dict[str, Action]] = {}
    for rule in rules:
        for step in range(rule.window.start, rule.window.stop):
            rows.setdefault(step, {}).update(dict.fromkeys(rule.components, rule.action))
    schedule = schedule_of_rules(rules, 8)
    assert schedule == Schedule(steps=8, actions=rows)
    assert schedule.components == {"a", "b", "c"}
    assert schedule_of_rules(rules_of(schedule), 8) == schedule
