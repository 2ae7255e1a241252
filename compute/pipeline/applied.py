"""Applies a skip policy to a diffusers pipeline, whose own loop and scheduler stay in use."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, ContextDecorator, contextmanager, nullcontext
from types import TracebackType
from typing import Any

from torch import nn

from compute.pipeline.follow import RunFollower, check_can_be_followed, following
from compute.pipeline.graphs import graph_of
from compute.pipeline.other_caches import check_no_other_cache
from compute.pipeline.policy_check import PolicyCheck
from compute.pipeline.run_steps import FollowError, RunSteps
from compute.policy.graph import GUIDANCE, UNET, UnknownComponent, network_as_one
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.schedule import ScheduleError
from compute.policy.skip_policy import PolicyError, SkipPolicy
from compute.unet.blocks import uncompiled
from compute.unet.execution import Execution
from compute.unet.hooks import executing
from compute.unet.numeric_settings import numeric_settings
from compute.unet.weights_digest import DTYPES, dtype_name, parameter_digest


def applied(policy: SkipPolicy, pipe: Any) -> AppliedPolicy:
    """Make a diffusers pipeline (`pipe.unet`, `pipe.scheduler`) follow a skip policy within the context.

    Each call of the pipeline is a run of its own. Afterwards the UNet and the scheduler are exactly as before.

    Raises PolicyError, on entry or when a run begins, where the policy is for other weights (compared by their content
    both times), another scheduler or other steps; FollowError where the pipeline does not sample with its scheduler, or
    is followed already; UnsupportedUNet where the UNet is not supported; ExecutionError where it already executes a
    schedule.

    The context may be entered again after it was left. Within it the pipeline can be deep-copied, and the copy follows
    nothing, but not pickled.
    """
    return AppliedPolicy(policy, pipe)


class AppliedPolicy(ContextDecorator):
    """A context in which a pipeline follows a policy; see `applied`."""

    def __init__(self, policy: SkipPolicy, pipe: Any) -> None:
        self._policy, self._pipe = policy, pipe
        self._entered: AbstractContextManager[Execution] | None = None

    def __enter__(self) -> Execution:
        if self._entered is not None:
            raise FollowError("pipe: it follows this policy already: leave the context before entering it again")
        entered = _following_policy(self._policy, self._pipe)
        execution = entered.__enter__()
        self._entered = entered
        return execution

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        entered, self._entered = self._entered, None
        assert entered is not None, "a context is entered before it is left"
        return entered.__exit__(kind, error, trace)


@contextmanager
def _following_policy(policy: SkipPolicy, pipe: Any) -> Iterator[Execution]:
    unet = _unet_of(pipe)
    check_can_be_followed(pipe)
    check_no_other_cache(uncompiled(unet))
    check_weights(policy, uncompiled(unet))
    resolved = _resolved(policy, unet)
    acts_on_modules = any(plan.unet is None and plan.is_patched for plan in resolved.steps)
    execution_context = executing(unet, resolved) if acts_on_modules else nullcontext(Execution(unet, resolved))
    with execution_context as execution:
        check = PolicyCheck(policy, pipe)

        def begin(steps: RunSteps, scheduler: Any) -> None:
            check.begin(steps, scheduler)
            _check_weights_again(policy, uncompiled(unet))

        follower = RunFollower(pipe, execution=execution, on_begin=begin, on_arguments=check.arguments)
        with following(pipe, unet, follower):
            yield execution


def _unet_of(pipe: Any) -> nn.Module:
    """Return the pipeline's UNet. Raises PolicyError where a policy cannot be applied to it."""
    unet, scheduler = getattr(pipe, "unet", None), getattr(pipe, "scheduler", None)
    if not isinstance(unet, nn.Module) or scheduler is None:
        raise PolicyError(f"pipe: a {type(pipe).__name__} has no unet and scheduler; give a diffusers pipeline")
    return unet


def check_weights(policy: SkipPolicy, unet: nn.Module) -> None:
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
            f"({digest[:12]}){_of_settings(unet)}: load that model, or make a policy for this one"
        )


def _of_settings(unet: nn.Module) -> str:
    count = len(numeric_settings(unet))
    return f", with {count} settings of LoRA or FreeU, which count as weights" if count else ""


def _check_weights_again(policy: SkipPolicy, unet: nn.Module) -> None:
    """Check the weights of a run that begins, which other code may have changed. Raises PolicyError."""
    if any(tensor.is_meta for tensor in (*unet.parameters(), *unet.buffers())):
        warnings.warn(
            "weights: the UNet's are offloaded since the policy was applied, so changes of them are not noticed: "
            "apply the policy anew after changing them",
            stacklevel=2,
        )
    else:
        check_weights(policy, unet)


def _resolved(policy: SkipPolicy, unet: Any) -> ResolvedSchedule:
    """Resolve a policy's schedule for a UNet.

    A policy that acts on the UNet as a whole and on guidance alone needs no graph. Raises PolicyError, UnsupportedUNet.
    """
    try:
        schedule = policy.schedule
        if schedule.components <= {UNET, GUIDANCE}:
            return resolve(network_as_one(), schedule)
        return resolve(graph_of(unet), schedule)
    except (ScheduleError, UnknownComponent) as error:
        raise PolicyError(f"rules: {error}") from None
