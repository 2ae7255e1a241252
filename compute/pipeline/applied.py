"""Applies a skip policy to a diffusers pipeline: its own loop, its own scheduler, fewer calculations.

The pipeline says which step it is through its scheduler: `set_timesteps` begins a run, `step` ends a step. Where the
whole UNet is reused it is not run: it puts out NaN, and the scheduler is given the reused output instead.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from compute.pipeline.method_overrides import SchedulerMethod, UNetForward
from compute.pipeline.policy_run import PipelineRun
from compute.policy.graph import ComponentGraph, UnknownComponent
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.schedule import ScheduleError
from compute.policy.skip_policy import PolicyError, SkipPolicy
from compute.unet.blocks import UnsupportedUNet
from compute.unet.execution import Execution
from compute.unet.graph_reader import read_graph
from compute.unet.hooks import executing
from compute.unet.override import Override
from compute.unet.weights_digest import DTYPES, dtype_name, parameter_digest

_graphs: weakref.WeakKeyDictionary[nn.Module, ComponentGraph] = weakref.WeakKeyDictionary()


@contextmanager
def applied(policy: SkipPolicy, pipe: Any) -> Iterator[Execution]:
    """Makes a diffusers pipeline (`pipe.unet`, `pipe.scheduler`) follow a skip policy while the context lasts.

    Every call of the pipeline inside is a run of its own. Raises PolicyError, here or when a run begins, where the
    policy is for other weights, another scheduler or another number of steps; UnsupportedUNet for a UNet that can't be
    read; ExecutionError where the UNet is acted on already. Afterwards UNet and scheduler are exactly as before.
    """
    unet, scheduler = _parts(pipe)
    _check_weights(policy, unet)
    with executing(unet, _resolved(policy, unet)) as execution:
        run = PipelineRun(policy, pipe, execution)
        installed: list[Override] = []
        try:
            installed.append(Override(unet, "forward", UNetForward(run, unet)))
            for name in ("set_timesteps", "step"):
                installed.append(Override(scheduler, name, SchedulerMethod(run, scheduler, name)))
            yield execution
        finally:
            run.active = False
            for override in reversed(installed):
                override.remove()


def _parts(pipe: Any) -> tuple[nn.Module, Any]:
    """The pipeline's UNet and scheduler. Raises PolicyError where it has none that a policy can be applied to."""
    unet, scheduler = getattr(pipe, "unet", None), getattr(pipe, "scheduler", None)
    if not isinstance(unet, nn.Module) or scheduler is None:
        raise PolicyError(f"pipe: a {type(pipe).__name__} has no unet and scheduler; give a diffusers pipeline")
    if hasattr(unet, "_orig_mod"):
        raise PolicyError("pipe: its unet is compiled; apply the policy to a pipeline whose unet is not")
    if isinstance(scheduler.__dict__.get("step"), SchedulerMethod):
        raise PolicyError("pipe: its scheduler already follows a policy: leave that context before entering another")
    return unet, scheduler


def _check_weights(policy: SkipPolicy, unet: nn.Module) -> None:
    name = dtype_name(unet)
    expected = policy.model.unet.get(name)
    if expected is None:
        there = ", ".join(policy.model.unet) or "none"
        raise PolicyError(f"weights: the policy knows them in {there}; load the pipeline so, not in {name}")
    found = parameter_digest(unet, DTYPES[name])
    if found != expected:
        raise PolicyError(
            f"weights: the policy is for {policy.model.name} ({name} {expected[:12]}), this UNet has others "
            f"({found[:12]}): load that model, or make a policy for this one"
        )


def _resolved(policy: SkipPolicy, unet: nn.Module) -> ResolvedSchedule:
    if unet not in _graphs:
        _graphs[unet] = _graph(unet)
    try:
        return resolve(_graphs[unet], policy.schedule)
    except (ScheduleError, UnknownComponent) as error:
        raise PolicyError(f"rules: {error}") from None


def _graph(unet: Any) -> ComponentGraph:
    if not hasattr(unet, "down_blocks"):
        raise UnsupportedUNet(f"pipe: its unet is a {type(unet).__name__}; a UNet2DConditionModel is supported")
    return read_graph(unet)
