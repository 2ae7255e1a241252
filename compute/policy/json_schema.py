"""The JSON Schema of policy files: `python -m compute.policy.json_schema > docs/policy.schema.json`."""

from __future__ import annotations

import json
from typing import Any

from compute.policy.skip_policy import SkipPolicy
from store.folder.own_digest import FIELD


def policy_schema() -> dict[str, Any]:
    """Return the JSON Schema of a policy file: `format` and `version` are required, and it may hold its own digest."""
    schema = SkipPolicy.model_json_schema(mode="validation")
    policy = schema["$defs"]["SkipPolicy"]  # a definition, because a policy may hold another one
    policy["properties"][FIELD] = {"pattern": "^[0-9a-f]{64}$", "title": "Sha256", "type": "string"}
    policy["required"] = ["format", "version", *policy["required"]]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text() -> str:
    """Return the text of docs/policy.schema.json."""
    return json.dumps(policy_schema(), indent=2) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
