"""Prints the JSON Schema of policy files: `python -m compute.policy.json_schema > docs/policy.schema.json`."""

from __future__ import annotations

import json

from compute.policy.skip_policy import policy_schema


def schema_text() -> str:
    """What docs/policy.schema.json holds."""
    return json.dumps(policy_schema(), indent=2) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
