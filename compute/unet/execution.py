"""The state of a run in which a UNet executes a schedule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from compute.policy.graph import GUIDANCE
from compute.policy.liveness import ResolvedSchedule, StepPlan
from compute.unet.arguments import main_input
from compute.unet.blocks import ComponentModule
from compute.unet.cache import Cache, Call, ExecutionError
from compute.unet.call_traces import trace_of_call
from compute.unet.graph_reader import component_graph
from compute.unet.step_calls import StepCalls
from compute.unet.trace import OutputForm, Trace
from store.actions import CachedPart
from store.records import Action

_WHOLE: Call = (0, 0)
"""What is of the whole network is kept for its only call within a step."""


@dataclass(frozen=True, kw_only=True)
class _Half:
    """The half of the batch that runs alone, 0 or 1, and the arguments of the whole batch."""

    which: int
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


class Execution:
    """The current step, the call of the UNet within it, and the values that later steps reuse.

    The sampling loop calls `begin_step(i)` before it calls the UNet at step i, and `reset()` before a new run.
    """

    _step: int | None = None

    def __init__(self, unet: nn.Module, resolved: ResolvedSchedule) -> None:
        self.resolved = resolved
        self.active = True
        self._unet = unet
        self._cache = Cache(resolved.last_reads())
        self._call = -1
        self._calls = StepCalls(resolved)
        self._trace: Trace | None = None
        self._checked: list[Trace] = []
        self._invocations: dict[str, int] = {}
        self._half: _Half | None = None

    def begin_step(self, step: int) -> None:
        """Set the step that the following calls of the UNet belong to.

        Raises ExecutionError for a step outside the schedule, and for one that is not later than the previous one of
        the run. The step before ends.
        """
        if not 0 <= step < len(self.resolved.steps):
            raise ExecutionError(
                f"step {step} lies outside the schedule: steps 0 to {len(self.resolved.steps) - 1} exist"
            )
        if self._step is not None and step <= self._step:
            raise ExecutionError(
                f"step {step} comes after step {self._step}: steps of one run follow each other, and a new run begins "
                "where the pipeline sets its scheduler's timesteps"
            )
        self.end_step()
        self._step, self._call = step, -1
        self._cache.free(step)

    def end_step(self) -> None:
        """Check the calls of the current step. Raises ExecutionError where it reuses a step of more or fewer calls."""
        if self._step is not None:
            self._calls.end(self._step)

    def reset(self) -> None:
        """Prepare for a new run: clear the cache and the current step."""
        self._step, self._call = None, -1
        self._calls.clear()
        self._trace = None
        self._cache.clear()

    def unet_action(self, step: int) -> Action | None:
        """Return the action that replaces the whole UNet at a step, with its `space` set; None where there is none.

        Where there is one the sampling loop must not call the UNet.
        """
        return self.resolved.steps[step].unet

    @contextmanager
    def running_half(self, which: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[None]:
        """Take the calls of the UNet within the context for those of one half of a batch, 0 or 1.

        `args` and `kwargs` are the arguments of the whole batch. What steps with both halves computed is read by this
        half of it.
        """
        self._half = _Half(which=which, args=args, kwargs=kwargs)
        try:
            yield
        finally:
            self._half = None

    @property
    def cache_bytes(self) -> int:
        """The memory of the values that are kept now, in bytes."""
        return self._cache.bytes

    @property
    def peak_cache_bytes(self) -> int:
        """The largest `cache_bytes` so far, over all runs."""
        return max(self._cache.peak_bytes, self._cache.bytes)

    @property
    def plan(self) -> StepPlan:
        """The plan of the current step. Raises ExecutionError before `begin_step`."""
        if self._step is None:
            raise ExecutionError(
                "the UNet was called outside a run: its steps are known only while the pipeline samples, so call the "
                "pipeline, or the UNet where no policy is applied"
            )
        return self.resolved.steps[self._step]

    @property
    def trace(self) -> Trace:
        """What runs in the current call, by its arguments."""
        assert self._trace is not None, "a call begins with begin_call"
        return self._trace

    def begin_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Begin the next call of the UNet within the current step.

        Raises ExecutionError at a step that reuses the whole UNet, where the call is not that of a step that is reused
        (see `StepCalls`), and where the UNet's components are others with these arguments than in the schedule's graph.
        """
        plan = self.plan
        if plan.unet is not None:
            raise ExecutionError(
                f"the UNet was called at step {plan.step}, which reuses unet from step {plan.sources['unet'][0]}: "
                "its output is known there, so nothing but the pipeline's own sampling may call it"
            )
        if self._half is None:
            self._calls.add(plan.step, self._unet, args, kwargs)
        else:  # a half is one of the same call
            self._calls.add(plan.step, self._unet, self._half.args, self._half.kwargs)
        if plan.is_patched:
            self._trace = trace_of_call(self._unet, args, kwargs)
            self._check_trace(self._trace, main_input(args, kwargs))
        self._call, self._invocations = self._call + 1, {}

    def _check_trace(self, trace: Trace, sample: Tensor) -> None:
        """Raise ExecutionError where the schedule's graph isn't that of the call, the call's further inputs apart."""
        if any(trace is checked for checked in self._checked):
            return
        graph, of_call = self.resolved.graph, component_graph(self._unet, trace, sample, 1)
        edges = [{e for e in g.edges if g.nodes[e[0]].kind != "input"} for g in (graph, of_call)]
        if edges[0] != edges[1]:
            source, target = min(edges[0] ^ edges[1])
            raise ExecutionError(
                "with these arguments (of an adapter or a ControlNet, say) the UNet differs from the graph that the "
                f"schedule was made for: only one of the two leads from {source} to {target}; make the schedule for "
                "the UNet as it is called"
            )
        self._checked.append(trace)

    def next_invocation(self, component: ComponentModule) -> int:
        """Return how often a component has run in the current call; only parts run more than once."""
        if not component.is_part:
            return 0
        invocation = self._invocations.get(component.path, 0)
        self._invocations[component.path] = invocation + 1
        return invocation

    def form(self, name: str, invocation: int = 0) -> OutputForm:
        """Return the form in which a component returns its output."""
        return self.trace.forms[name][invocation]

    def dead_output(self, name: str, device: torch.device, invocation: int = 0) -> Any:
        """Return the output of a dead module: NaN in the form of its output.

        The tensor is one expanded number, so it takes no memory; should it be read by mistake the NaN shows it.
        """
        form = self.form(name, invocation)
        return form.wrap(self.unshared(name, form.tensor.nan(device)))

    def unshared(self, name: str, value: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return a value itself, or a copy where the network writes into the output of the node `name`."""
        return value.clone() if name in self.trace.written else value

    def read_cache(self, name: str, part: CachedPart = "value", invocation: int = 0) -> Float[Tensor, "..."]:
        """Return what a component reuses at the current step. Raises ExecutionError where it was not computed."""
        plan = self.plan
        call = (self._call, invocation)
        return self._cache.read(name, part, plan.sources[name], plan.step, call, plan.actions[name], self._rows_to_read)

    def _rows_to_read(self, source: int, value: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        if self._half is None or self.resolved.steps[source].guidance is not None:
            return value
        return value.chunk(2)[self._half.which]

    def write_cache(self, name: str, part: CachedPart, value: Float[Tensor, "..."], invocation: int = 0) -> None:
        """Keep what a component computed at the current step."""
        self._cache.write(name, part, self.plan.step, (self._call, invocation), self.unshared(name, value))

    def write_guidance(self, difference: Float[Tensor, "B K H W"]) -> None:
        """Keep the difference between the halves of the network's output at the current step."""
        self._cache.write(GUIDANCE, "value", self.plan.step, _WHOLE, difference)

    def read_guidance(self) -> Float[Tensor, "B K H W"]:
        """Return the difference that the current step reuses. Raises ExecutionError where it was not computed."""
        plan = self.plan
        sources, action = plan.sources[GUIDANCE], plan.actions[GUIDANCE]
        return self._cache.read(GUIDANCE, "value", sources, plan.step, _WHOLE, action)
