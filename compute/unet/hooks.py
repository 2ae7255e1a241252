"""Executes a resolved schedule on a UNet, through one dispatcher per module.

A dispatcher is an instance attribute `forward` that shadows the method of the module's class. diffusers' own forward
methods are not copied: a dispatcher either calls the original or computes something cheaper instead. Of a module that
torch.compile has compiled the dispatcher is in front of the compiled call.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from compute.policy.liveness import ResolvedSchedule
from compute.unet.blocks import uncompiled
from compute.unet.cache import ExecutionError
from compute.unet.dispatch import dispatchers
from compute.unet.dispatcher import Dispatcher
from compute.unet.execution import Execution
from compute.unet.method_patch import MethodPatch

_executing: weakref.WeakSet[nn.Module] = weakref.WeakSet()


@contextmanager
def executing(unet: nn.Module, resolved: ResolvedSchedule) -> Iterator[Execution]:
    """Make a UNet execute a resolved schedule within the context, and restore all its modules exactly afterwards.

    Raises ExecutionError where the UNet already executes a schedule, the schedule is another UNet's, or it acts inside
    of what torch.compile has compiled.
    """
    network = uncompiled(unet)
    if network in _executing:
        raise ExecutionError("this UNet already carries out a schedule: leave that context before entering another")
    execution = Execution(network, resolved)
    patches: list[MethodPatch] = []
    _executing.add(network)
    try:
        for path, module, replacement in dispatchers(network, execution):
            outer = unet if module is network else module
            if module is not network:
                _check_not_compiled(path, unet, network)
            name = "forward" if getattr(outer, "_compiled_call_impl", None) is None else "_compiled_call_impl"
            dispatcher = Dispatcher(getattr(outer, name), replacement, lambda: execution.active)
            patches.append(MethodPatch(outer, name, dispatcher))
        yield execution
    finally:
        execution.active = False
        execution.reset()
        for patch in reversed(patches):
            patch.remove()
        _executing.discard(network)


def _check_not_compiled(path: str, unet: nn.Module, network: nn.Module) -> None:
    """Raise ExecutionError where a module lies inside of one that is compiled: its calls would not be seen."""
    if unet is not network:
        _refuse(path, "the UNet")
    around: nn.Module = network
    for name in path.split("."):
        if getattr(around, "_compiled_call_impl", None) is not None:
            _refuse(path, "the UNet" if around is network else f"a {type(around).__name__}")
        around = getattr(around, name)


def _refuse(path: str, where: str) -> None:
    raise ExecutionError(
        f"{path} can't be acted on: it lies inside {where} that torch.compile has compiled; compile smaller modules "
        "(unet.compile_repeated_blocks()), or act on larger components"
    )
