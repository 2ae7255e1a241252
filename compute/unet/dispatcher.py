"""What stands in the place of a module's forward while a schedule is executed."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any, Never

from compute.unet.cache import ExecutionError


class Dispatcher:
    """Calls a replacement of a function, which is given the original, while `is_active` says so."""

    def __init__(
        self, original: Callable[..., Any], replacement: Callable[..., Any], is_active: Callable[[], bool]
    ) -> None:
        functools.update_wrapper(self, original)
        self._original = original
        self._replacement = replacement
        self._is_active = is_active

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Return the original of the copied module: a deep copy executes nothing."""
        return copy.deepcopy(self._original, memo)

    def __reduce__(self) -> Never:
        raise ExecutionError("pipe.unet cannot be pickled while it executes a schedule: leave the context first")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the replacement, or the original where the context has ended."""
        if not self._is_active():
            return self._original(*args, **kwargs)
        return self._replacement(self._original, *args, **kwargs)
