"""The forward of a module beneath what other code put around it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from torch import nn


class Dispatcher:
    """Runs a replacement of a module's forward, which is given the original, while its context lasts."""

    def __init__(self, original: Callable[..., Any], replacement: Callable[..., Any], is_active: Callable[[], bool]):
        functools.update_wrapper(self, original)
        self.original = original
        self._replacement = replacement
        self._is_active = is_active

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the replacement; the original where the context has ended."""
        if not self._is_active():
            return self.original(*args, **kwargs)
        return self._replacement(self.original, *args, **kwargs)


def innermost_forward(module: nn.Module) -> Callable[..., Any]:
    """Return a module's forward without our dispatchers, and without the hooks of accelerate and diffusers.

    Those hooks move or cast weights, which reading a UNet must not do. A forward that other code has set stays.
    """
    forward: Any = module.__dict__.get("forward")
    while forward is not None:
        owner = getattr(getattr(forward, "func", None), "__module__", None) or ""
        if isinstance(forward, Dispatcher):
            forward = forward.original
        elif owner.startswith("accelerate.") and "_old_forward" in module.__dict__:
            forward = module.__dict__["_old_forward"]
        elif owner.startswith("diffusers.hooks"):
            forward = _beneath_diffusers_hooks(module)
        else:
            return forward
    return functools.partial(type(module).forward, module)


def _beneath_diffusers_hooks(module: Any) -> Any:
    first = module._diffusers_hook._fn_refs[0]
    return first.original_forward or first.forward
