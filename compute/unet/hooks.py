"""Carries a resolved schedule out on a UNet: one dispatcher a module, installed by a context manager.

A dispatcher is an instance attribute `forward` that shadows the class's. diffusers' own forwards stay as they are:
a dispatcher calls the original, or something cheaper instead.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from compute.policy.liveness import ResolvedSchedule
from compute.unet.cache import ExecutionError
from compute.unet.dispatch import dispatchers
from compute.unet.execution import Execution
from compute.unet.override import Override

_executing: weakref.WeakSet[nn.Module] = weakref.WeakSet()


@contextmanager
def executing(unet: nn.Module, resolved: ResolvedSchedule) -> Iterator[Execution]:
    """Makes a UNet carry out a resolved schedule while the context lasts, and leaves it exactly as it was.

    Raises ExecutionError when the UNet is already acted on, UnsupportedUNet when it can't be read.
    """
    if unet in _executing:
        raise ExecutionError("this UNet already carries out a schedule: leave that context before entering another")
    execution = Execution(unet, resolved)
    installed: list[Override] = []
    _executing.add(unet)
    try:
        for module, replacement in dispatchers(unet, execution):
            installed.append(Override(module, "forward", _dispatcher(module, replacement, execution)))
        yield execution
    finally:
        execution.active = False
        execution.reset()
        for override in reversed(installed):
            override.remove()
        _executing.discard(unet)


def _dispatcher(module: nn.Module, replacement: Callable[..., Any], execution: Execution) -> Callable[..., Any]:
    original = module.forward

    @functools.wraps(original)
    def dispatcher(*args: Any, **kwargs: Any) -> Any:
        if not execution.active:
            return original(*args, **kwargs)
        return replacement(original, *args, **kwargs)

    return dispatcher
