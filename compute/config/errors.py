"""The error of a configuration."""

from __future__ import annotations

from store.errors import SkipscopeError


class ConfigError(SkipscopeError):
    """A configuration that cannot be used. Each line names a field, what is wrong with it, and what is accepted."""
