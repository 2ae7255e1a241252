"""A run under a schedule: the step, the call within it, and what is kept for later steps."""

from __future__ import annotations

import torch
from torch import nn

from compute.policy.liveness import ResolvedSchedule, StepPlan
from compute.unet.cache import Cache, ExecutionError
from compute.unet.trace import Shape, output_shapes
from store.actions import CachedPart
from store.records import Action


class Execution:
    """The state of a run under `executing`: the step, the call within it, and what is kept for later steps.

    The sampling loop calls `begin_step(i)` before it calls the UNet and `reset()` before a new run.
    """

    def __init__(self, unet: nn.Module, resolved: ResolvedSchedule) -> None:
        self.resolved = resolved
        self.active = True
        self._unet = unet
        self._cache = Cache(resolved.last_reads())
        self._step: int | None = None
        self._call = -1
        self._sample_shape: Shape = ()
        self._run_shapes: dict[int, Shape] = {}

    def begin_step(self, step: int) -> None:
        """Says which step the next calls of the UNet belong to; steps only go forwards within a run."""
        if not 0 <= step < len(self.resolved.steps):
            raise ExecutionError(
                f"step {step} lies outside the schedule: steps 0 to {len(self.resolved.steps) - 1} exist"
            )
        if self._step is not None and step <= self._step:
            raise ExecutionError(f"step {step} after step {self._step}: call reset() before a new run")
        self._step, self._call = step, -1
        self._cache.free(step)

    def reset(self) -> None:
        """Forgets the run: the next step may be any, and nothing is kept."""
        self._step, self._call = None, -1
        self._run_shapes = {}
        self._cache.clear()

    def unet_action(self, step: int) -> Action | None:
        """The action that replaces the whole UNet at a step; then the loop must not call it. `space` is always said."""
        return self.resolved.steps[step].unet

    @property
    def cache_bytes(self) -> int:
        """Bytes kept now for later steps."""
        return self._cache.bytes

    @property
    def peak_cache_bytes(self) -> int:
        """The most bytes kept at once since `executing` began."""
        return max(self._cache.peak_bytes, self._cache.bytes)

    @property
    def plan(self) -> StepPlan:
        """The plan of the step that is being run; raises ExecutionError before `begin_step`."""
        if self._step is None:
            raise ExecutionError(
                "the UNet was called before begin_step(i): the sampling loop must say which step it is"
            )
        return self.resolved.steps[self._step]

    def begin_call(self, sample: torch.Tensor) -> None:
        """Numbers a call of the UNet within its step."""
        plan = self.plan
        if plan.unet is not None:
            raise ExecutionError(
                f"the UNet was called at step {plan.step}, which reuses unet from step {plan.sources['unet'][0]}: "
                "ask unet_action(i) first and do not call it"
            )
        shape = tuple(sample.shape)
        known = self._run_shapes.setdefault(self._call + 1, shape)
        if plan.sources and known != shape:
            raise ExecutionError(
                f"samples have shape {shape} at step {plan.step} and had {known} before: call reset() before a new run"
            )
        self._call, self._sample_shape = self._call + 1, shape

    def dead(self, path: str, like: torch.Tensor) -> torch.Tensor:
        """What a dead module puts out: one NaN that is expanded to the right shape, so that a stale read shows."""
        shape = output_shapes(self._unet, self._sample_shape)[path]
        return torch.full((), torch.nan, dtype=like.dtype, device=like.device).expand(shape)

    def read(self, name: str, part: CachedPart = "value") -> torch.Tensor:
        """What a component reuses at this step."""
        plan = self.plan
        return self._cache.read(name, part, plan.sources[name], plan.step, self._call)

    def keep(self, name: str, part: CachedPart, value: torch.Tensor) -> None:
        """Keeps what a component computed at this step."""
        self._cache.write(name, part, self.plan.step, self._call, value)
