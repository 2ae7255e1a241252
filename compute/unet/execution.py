"""The state of a run in which a UNet executes a schedule."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from compute.policy.liveness import ResolvedSchedule, StepPlan
from compute.unet.cache import Cache, ExecutionError
from compute.unet.trace import Shape, output_shapes
from store.actions import CachedPart
from store.records import Action


class Execution:
    """The current step, the call of the UNet within it, and the values that later steps reuse.

    The sampling loop calls `begin_step(i)` before it calls the UNet at step i, and `reset()` before a new run.
    """

    def __init__(self, unet: nn.Module, resolved: ResolvedSchedule) -> None:
        self.resolved = resolved
        self.active = True
        self._unet = unet
        self._cache = Cache(resolved.last_reads())
        self._step: int | None = None
        self._call = -1
        self._sample_shape: Shape = ()
        self._shape_of_call: dict[int, Shape] = {}

    def begin_step(self, step: int) -> None:
        """Set the step that the following calls of the UNet belong to.

        Raises ExecutionError for a step outside the schedule, and for one that is not later than the previous one of
        the run.
        """
        if not 0 <= step < len(self.resolved.steps):
            raise ExecutionError(
                f"step {step} lies outside the schedule: steps 0 to {len(self.resolved.steps) - 1} exist"
            )
        if self._step is not None and step <= self._step:
            raise ExecutionError(f"step {step} after step {self._step}: call reset() before a new run")
        self._step, self._call = step, -1
        self._cache.free(step)

    def reset(self) -> None:
        """Prepare for a new run: clear the cache and the current step."""
        self._step, self._call = None, -1
        self._shape_of_call = {}
        self._cache.clear()

    def unet_action(self, step: int) -> Action | None:
        """Return the action that replaces the whole UNet at a step, with its `space` set; None where there is none.

        Where there is one the sampling loop must not call the UNet.
        """
        return self.resolved.steps[step].unet

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
                "the UNet was called before begin_step(i): the sampling loop must say which step it is"
            )
        return self.resolved.steps[self._step]

    def begin_call(self, sample: Float[Tensor, "B C H W"]) -> None:
        """Begin the next call of the UNet within the current step.

        Raises ExecutionError at a step that reuses the whole UNet, and where the sample has another shape than in this
        run's earlier steps.
        """
        plan = self.plan
        if plan.unet is not None:
            raise ExecutionError(
                f"the UNet was called at step {plan.step}, which reuses unet from step {plan.sources['unet'][0]}: "
                "ask unet_action(i) first and do not call it"
            )
        shape = tuple(sample.shape)
        first_shape = self._shape_of_call.setdefault(self._call + 1, shape)
        if plan.sources and first_shape != shape:
            raise ExecutionError(
                f"samples have shape {shape} at step {plan.step} and had {first_shape} before: "
                "call reset() before a new run"
            )
        self._call, self._sample_shape = self._call + 1, shape

    def dead_output(self, path: str, like: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the output of a dead module: NaN in the module's output shape, with the dtype and device of `like`.

        The tensor is one expanded number, so it takes no memory; should it be read by mistake the NaN shows it.
        """
        shape = output_shapes(self._unet, self._sample_shape)[path]
        return torch.full((), torch.nan, dtype=like.dtype, device=like.device).expand(shape)

    def read_cache(self, name: str, part: CachedPart = "value") -> Float[Tensor, "..."]:
        """Return what a component reuses at the current step. Raises ExecutionError where it was not computed."""
        plan = self.plan
        return self._cache.read(name, part, plan.sources[name], plan.step, self._call)

    def write_cache(self, name: str, part: CachedPart, value: Float[Tensor, "..."]) -> None:
        """Keep what a component computed at the current step."""
        self._cache.write(name, part, self.plan.step, self._call, value)
