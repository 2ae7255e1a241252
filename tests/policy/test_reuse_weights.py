"""Weights of a reuse: data of a policy file, checked when it is loaded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from compute.policy.extrapolation import extrapolated, reused_value
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule, ScheduleError
from compute.policy.skip_policy import PolicyError, SkipPolicy
from store.records import Action
from tests.policy.graphs import chain
from tests.policy.policies import policy_of

GRAPH = chain("block.0", "block.1")


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"weights": []}, "at least 1 item"),
        ({"weights": [1, 1, 1, 1, 1]}, "at most 4 items"),
        ({"weights": [float("nan")]}, "finite number"),
        ({"weights": [1, float("inf")]}, "finite number"),
        ({"weights": [1e9]}, "less than or equal to 1000"),
        (
            {"weights": [1.0], "order": 1},
            "weights belong to reuse of unet or guidance without an order, not to reuse of",
        ),
        ({"weights": [1.0], "name": "bypass"}, "not to bypass"),
        ({"weights": [1.0], "name": "reuse_delta"}, "not to reuse_delta"),
        ({"state": 0.5}, "state belongs to a reuse with weights"),
        ({"weights": [1.0], "state": float("-inf")}, "finite number"),
    ],
)
def test_what_is_no_reuse(fields: dict[str, Any], line: str) -> None:
    with pytest.raises(ValidationError, match=line):
        Action.model_validate({"name": "reuse"} | fields)


@pytest.mark.parametrize(
    ("name", "action", "line"),
    [
        ("block.0", Action(name="reuse", weights=(1,)), "weights belong to unet and guidance"),
        ("guidance", Action(name="reuse", weights=(1,), state=0.1), "a state belongs to unet"),
        ("unet", Action(name="reuse", weights=(1, 1, 1, 1)), "three earlier|four earlier steps that do are needed"),
    ],
)
def test_where_weights_do_not_belong(name: str, action: Action, line: str) -> None:
    with pytest.raises(ScheduleError, match=line):
        resolve(GRAPH, Schedule(steps=5, actions={3: {name: action}}))


def test_as_many_steps_are_read_as_there_are_weights() -> None:
    actions = {
        3: {"unet": Action(name="reuse", weights=(0.5, 0.5, 0.1))},
        4: {"guidance": Action(name="reuse", weights=(1.5, -0.5))},
    }
    steps = resolve(GRAPH, Schedule(steps=5, actions=actions)).steps
    assert steps[3].sources == {"unet": (2, 1, 0)} and steps[4].sources == {"guidance": (2, 1)}
    assert steps[3].unet is not None and steps[3].unet.space == "eps"


def test_repetition_and_extrapolation_are_weights() -> None:
    for step, sources, values in ((5, (4, 2), (3.0, 7.0)), (2, (1, 0), (-1.0, 0.5))):
        distance = (step - sources[0]) / (sources[0] - sources[1])
        line = Action(name="reuse", weights=(1 + distance, -distance))
        assert reused_value(Action(name="reuse", weights=(1,)), step, sources[:1], values[:1]) == values[0]
        assert reused_value(line, step, sources, values) == pytest.approx(extrapolated(step, sources, values))
        assert reused_value(Action(name="reuse", order=1), step, sources, values) == extrapolated(step, sources, values)


def test_a_policy_file_holds_them() -> None:
    fitted = Action(name="reuse", space="x0", weights=(1.25, -0.5, 0.125), state=0.0625)
    plain = policy_of(Schedule(steps=8, actions={4: {"unet": Action(name="reuse", space="x0")}}))
    made = policy_of(Schedule(steps=8, actions={4: {"unet": fitted}}))
    assert SkipPolicy.loads(made.dumps()) == made and made.digest != plain.digest
    action = json.loads(made.dumps())["rules"][0]["action"]
    assert (action["weights"], action["state"]) == ([1.25, -0.5, 0.125], 0.0625)
    assert json.loads(plain.dumps())["rules"][0]["action"].keys() == {"name", "order", "space"}
    text = made.dumps().replace("0.125", '"all"')
    with pytest.raises(PolicyError, match=r"rules\.0\.action\.weights\.2"):
        SkipPolicy.loads(text)
