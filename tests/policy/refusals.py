"""How a policy's text is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from compute.policy.skip_policy import PolicyError, SkipPolicy


def refusal(data: bytes | str | dict[str, Any]) -> str:
    """The message that a text or document is refused with: short printable lines, each of which names the file."""
    text = json.dumps(data) if isinstance(data, dict) else data
    with pytest.raises(PolicyError) as caught:
        SkipPolicy.loads(text, where="it.json")
    lines = str(caught.value).split("\n")
    assert all(line.startswith("it.json: ") and line.isprintable() and len(line) < 500 for line in lines)
    return str(caught.value)
