"""Refusals: any text that is no policy of this version is refused in plain lines."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.policy.json_schema import policy_schema
from compute.policy.skip_policy import PolicyError, SkipPolicy
from tests.policy.json_values import json_values
from tests.policy.policies import document, policies, unet_rule
from tests.policy.refusals import refusal

SCHEMA = jsonschema.Draft202012Validator(policy_schema())


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [deeper for key, item in inner for deeper in [(*path, key), *paths_in(item, (*path, key))]]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_document_fits_the_schema_or_is_refused(data: st.DataObject) -> None:
    policy = data.draw(policies())
    changed = json.loads(policy.dumps())
    path = data.draw(st.sampled_from(paths_in(changed)))
    owner = changed
    for key in path[:-1]:
        owner = owner[key]
    value = data.draw(json_values | st.sampled_from(["\x1b[31m", "../../etc/passwd", 10**30, -1, 1e308, True]))
    change = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if change == "replace":
        owner[path[-1]] = value
    elif change == "remove":
        del owner[path[-1]]
    elif isinstance(owner, dict):
        owner[data.draw(st.text(max_size=5))] = value
    else:
        owner.append(value)
    text = json.dumps(changed, allow_nan=True)
    try:
        loaded = SkipPolicy.loads(text, where="it.json")
    except PolicyError:
        refusal(text)
    else:
        SCHEMA.validate(json.loads(text))
        assert SkipPolicy.loads(loaded.dumps()) == loaded


@settings(max_examples=100, deadline=None)
@given(st.binary() | st.text() | st.builds(json.dumps, json_values))
def test_any_other_text_is_refused(data: bytes | str) -> None:
    refusal(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "is not JSON: line 1, column 1"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"\xef\xbb\xbf{}", "BOM"),
        ("[" * 10**6, "is nested too deeply"),
        ('{"a":' * 10**5, "is nested too deeply"),
        (" " * (1 << 20) + "{}", "larger than the 1 MiB"),
        ('{"format": 1, "format": 1}', "the field 'format' appears twice"),
        ('{"version": NaN}', "NaN is no number"),
        ('{"version": -Infinity}', "-Infinity is no number"),
        ('{"version": 1e999}', "1e999 is too large a number"),
        ('{"version": ' + "1" * 5000 + "}", "a number of 5000 digits; at most 40"),
        ('{"version": 0.' + "1" * 5000 + "}", "a number of 5002 digits; at most 40"),
        ("[1]", "format: a list is no skip policy; an object whose format is 'skipscope-policy' is accepted"),
        ({}, "format: missing; an object whose format is 'skipscope-policy' is accepted"),
        (document(format="\x1b[2J"), r"format: '\x1b[2J' is no skip policy"),
        (document(version=2), "is of version 2; this release reads version 1: upgrade skipscope"),
        (document(version=10**30), "upgrade skipscope"),
        (document(version=0), "version: 0 is no version of a skip policy; 1 is accepted"),
        (document(version=True), "version: True is no version"),
        (document(version="1"), "version: '1' is no version"),
        (document(version=None), "version: missing; 1 is accepted"),
        (document(path="/etc/passwd"), "path: is no field; accepted: format, version, name"),
        (document(guidance="3"), "guidance: Input should be a valid number (given: '3')"),
        (document(guidance=101), "guidance: Input should be less than or equal to 100 (given: 101)"),
        (document(name="../a"), "name: String should match pattern"),
        (document(rules=[{"components": ["unet"]}]), "rules.0.window: Field required"),
        (document(provenance={"made": "\x1b]0;"}), r"provenance.made: holds a control character; printable text"),
        (document(provenance={"\u202e": "x"}), "holds a control character"),
        (document(provenance={"made": "\ud800"}), "Invalid JSON"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else None,
)
def test_refusals(data: Any, message: str) -> None:
    assert message in refusal(data)


def test_many_mistakes_are_a_line_each_up_to_a_limit() -> None:
    lines = refusal(document(rules=[unet_rule(3, 3)] * 200, guidance=-1)).split("\n")
    assert 2 < len(lines) < 60
    assert "more mistakes" in lines[-1]
