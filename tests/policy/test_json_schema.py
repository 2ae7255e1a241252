"""The JSON Schema of policy files: it is the published one, accepts every policy, and its fields are documented."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings

from compute.policy.json_schema import policy_schema, schema_text
from compute.policy.skip_policy import SkipPolicy
from tests.policy.policies import document, policies
from tests.policy.refusals import refusal

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = jsonschema.Draft202012Validator(policy_schema())


@settings(max_examples=60, deadline=None)
@given(policies())
def test_a_written_policy_is_read_again_and_fits_the_schema(policy: SkipPolicy) -> None:
    text = policy.dumps()
    again = SkipPolicy.loads(text)
    assert again == policy
    assert again.dumps() == text
    assert again.digest == policy.digest
    SCHEMA.validate(json.loads(text))


def test_the_published_schema_is_current() -> None:
    published = (DOCS / "policy.schema.json").read_text()
    assert published == schema_text(), "python -m compute.policy.json_schema > docs/policy.schema.json"
    jsonschema.Draft202012Validator.check_schema(json.loads(published))


def test_format_and_version_are_required() -> None:
    for field in ("format", "version", "rules"):
        incomplete = document()
        del incomplete[field]
        assert not SCHEMA.is_valid(incomplete)
        refusal(incomplete)


def test_the_documented_example_is_a_policy_as_it_would_be_written() -> None:
    text = (DOCS / "policy-format.md").read_text()
    example = text.split("```json\n")[1].split("```")[0]
    assert SkipPolicy.loads(example).dumps() == example


@pytest.mark.parametrize("record", policy_schema()["$defs"])
def test_every_field_is_documented(record: str) -> None:
    text = (DOCS / "policy-format.md").read_text()
    schema = policy_schema()
    fields = schema["$defs"][record]["properties"]
    assert [field for field in fields if f"`{field}`" not in text] == []
