"""The smallest valid configuration."""

from __future__ import annotations

from typing import Any

MINIMAL: dict[str, Any] = {"prompts": ["a cat"], "actions": ["bypass"]}
