"""A method replaced on one object, and put back exactly as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_MISSING = object()


class Override:
    """An instance attribute that shadows a method of the class until `remove`."""

    def __init__(self, owner: Any, name: str, method: Callable[..., Any]) -> None:
        self._owner, self._name, self._method = owner, name, method
        self._before = owner.__dict__.get(name, _MISSING)
        owner.__dict__[name] = method

    def remove(self) -> None:
        """Take the method off. One that somebody has wrapped since stays in their chain, where it must only pass on."""
        attributes = self._owner.__dict__
        if attributes.get(self._name) is not self._method:
            return
        if self._before is _MISSING:
            del attributes[self._name]
        else:
            attributes[self._name] = self._before
