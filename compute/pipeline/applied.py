"""Applies a skip policy to a diffusers pipeline, whose own loop and scheduler stay in use.

The calls of the scheduler tell which step is running: `set_timesteps` begins a run, `step` ends a step. At a step that
reuses the whole UNet the UNet is not run and returns NaN, and the scheduler receives the reused output instead.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from compute.pipeline.patched_methods import PatchedSchedulerMethod, PatchedUNetForward
from compute.pipeline.policy_run import PolicyRun
from compute.policy.graph import ComponentGraph, UnknownComponent
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.schedule import ScheduleError
from compute.policy.skip_policy import PolicyError, SkipPolicy
from compute.unet.blocks import UnsupportedUNet
from compute.unet.execution import Execution
from compute.unet.graph_reader import read_graph
from compute.unet.hooks import executing
from compute.unet.method_patch import MethodPatch
from compute.unet.weights_digest import DTYPES, dtype_name, parameter_digest

_graphs: weakref.WeakKeyDictionary[nn.Module, ComponentGraph] = weakref.WeakKeyDictionary()


@contextmanager
def applied(policy: SkipPolicy, pipe: Any) -> Iterator[Execution]:
    """Make a diffusers pipeline (`pipe.unet`, `pipe.scheduler`) follow a skip policy within the context.

    Each call of the pipeline is a run of its own. Afterwards the UNet and the scheduler are exactly as before.

    Raises PolicyError, on entry or when a run begins, where the policy is for other weights, another scheduler or
    another number of steps; UnsupportedUNet where the UNet is not supported; ExecutionError where the UNet already
    executes a schedule.
    """
    unet, scheduler = _unet_and_scheduler(pipe)
    _check_weights(policy, unet)
    with executing(unet, _resolved(policy, unet)) as execution:
        run = PolicyRun(policy, pipe, execution)
        patches: list[MethodPatch] = []
        try:
            patches.append(MethodPatch(unet, "forward", PatchedUNetForward(run, unet)))
            for name in ("set_timesteps", "step"):
                patches.append(MethodPatch(scheduler, name, PatchedSchedulerMethod(run, scheduler, name)))
            yield execution
        finally:
            run.active = False
            for patch in reversed(patches):
                patch.remove()


def _unet_and_scheduler(pipe: Any) -> tuple[nn.Module, Any]:
    """Return the pipeline's UNet and scheduler. Raises PolicyError where a policy cannot be applied to them."""
    unet, scheduler = getattr(pipe, "unet", None), getattr(pipe, "scheduler", None)
    if not isinstance(unet, nn.Module) or scheduler is None:
        raise PolicyError(f"pipe: a {type(pipe).__name__} has no unet and scheduler; give a diffusers pipeline")
    if hasattr(unet, "_orig_mod"):
        raise PolicyError("pipe: its unet is compiled; apply the policy to a pipeline whose unet is not")
    if isinstance(scheduler.__dict__.get("step"), PatchedSchedulerMethod):
        raise PolicyError("pipe: its scheduler already follows a policy: leave that context before entering another")
    return unet, scheduler


def _check_weights(policy: SkipPolicy, unet: nn.Module) -> None:
    """Raise PolicyError where the policy is for other weights than the UNet's."""
    name = dtype_name(unet)
    expected = policy.model.unet.get(name)
    if expected is None:
        known = ", ".join(policy.model.unet) or "none"
        raise PolicyError(f"weights: the policy knows them in {known}; load the pipeline so, not in {name}")
    digest = parameter_digest(unet, DTYPES[name])
    if digest != expected:
        raise PolicyError(
            f"weights: the policy is for {policy.model.name} ({name} {expected[:12]}), this UNet has others "
            f"({digest[:12]}): load that model, or make a policy for this one"
        )


def _resolved(policy: SkipPolicy, unet: Any) -> ResolvedSchedule:
    """Resolve a policy's schedule for a UNet, whose graph is read once. Raises PolicyError, UnsupportedUNet."""
    if unet not in _graphs:
        if not hasattr(unet, "down_blocks"):
            raise UnsupportedUNet(f"pipe: its unet is a {type(unet).__name__}; a UNet2DConditionModel is supported")
        _graphs[unet] = read_graph(unet)
    try:
        return resolve(_graphs[unet], policy.schedule)
    except (ScheduleError, UnknownComponent) as error:
        raise PolicyError(f"rules: {error}") from None
