"""Executes a resolved schedule on a UNet, through one dispatcher per module.

A dispatcher is an instance attribute `forward` that shadows the method of the module's class. diffusers' own forward
methods are not copied: a dispatcher either calls the original or computes something cheaper instead.
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
from compute.unet.method_patch import MethodPatch

_executing: weakref.WeakSet[nn.Module] = weakref.WeakSet()


@contextmanager
def executing(unet: nn.Module, resolved: ResolvedSchedule) -> Iterator[Execution]:
    """Make a UNet execute a resolved schedule within the context, and restore all its modules exactly afterwards.

    Raises ExecutionError where the UNet already executes a schedule or the schedule is another UNet's, UnsupportedUNet
    where the UNet has a part that is not supported.
    """
    if unet in _executing:
        raise ExecutionError("this UNet already carries out a schedule: leave that context before entering another")
    execution = Execution(unet, resolved)
    patches: list[MethodPatch] = []
    _executing.add(unet)
    try:
        for module, replacement in dispatchers(unet, execution):
            patches.append(MethodPatch(module, "forward", _dispatcher(module, replacement, execution)))
        yield execution
    finally:
        execution.active = False
        execution.reset()
        for patch in reversed(patches):
            patch.remove()
        _executing.discard(unet)


def _dispatcher(module: nn.Module, replacement: Callable[..., Any], execution: Execution) -> Callable[..., Any]:
    original = module.forward

    @functools.wraps(original)
    def dispatcher(*args: Any, **kwargs: Any) -> Any:
        if not execution.active:
            return original(*args, **kwargs)
        return replacement(original, *args, **kwargs)

    return dispatcher
