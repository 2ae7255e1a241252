"""JSON as policy files use it: parsing and layout keep every value."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume, given, settings

from compute.policy.strict_json import indented, parse
from tests.policy.json_values import json_values


@settings(max_examples=100, deadline=None)
@given(json_values)
def test_the_layout_keeps_values(value: Any) -> None:
    assume("inf" not in str(value))
    assert json.loads(indented(value)) == value


def test_parsing_keeps_values() -> None:
    assert parse(b'{"a": [1, 2.5, "x", null, true]}') == {"a": [1, 2.5, "x", None, True]}
