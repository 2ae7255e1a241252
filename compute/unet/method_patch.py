"""A method of one object, replaced until it is restored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_MISSING = object()


class MethodPatch:
    """Sets an instance attribute that shadows the method `name` of `owner` until `remove` is called."""

    def __init__(self, owner: Any, name: str, method: Callable[..., Any]) -> None:
        self._owner, self._name, self._method = owner, name, method
        self._previous = owner.__dict__.get(name, _MISSING)
        owner.__dict__[name] = method

    def remove(self) -> None:
        """Restore the instance's attributes as they were.

        Where another method has been set in the meantime that one stays, and it may still call this patch's.
        """
        attributes = self._owner.__dict__
        if attributes.get(self._name) is not self._method:
            return
        if self._previous is _MISSING:
            del attributes[self._name]
        else:
            attributes[self._name] = self._previous
