"""What earlier steps computed, kept for the steps that reuse it and for no longer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from compute.policy.extrapolation import extrapolated
from store.actions import CachedPart
from store.errors import SkipscopeError


class ExecutionError(SkipscopeError):
    """Actions that can't be carried out as called; the text says what the sampling loop should do instead."""


class Cache:
    """Tensors by component, part, step and call within the step (two calls of a step never share a slot)."""

    def __init__(self, last_reads: Mapping[tuple[str, int], int]) -> None:
        self._last_reads = last_reads
        self._slots: dict[tuple[str, CachedPart, int, int], torch.Tensor] = {}
        self.peak_bytes = 0

    def write(self, name: str, part: CachedPart, step: int, call: int, value: torch.Tensor) -> None:
        """Keeps a tensor that a later step reads."""
        self._slots[name, part, step, call] = value

    def read(self, name: str, part: CachedPart, sources: Sequence[int], step: int, call: int) -> torch.Tensor:
        """What a component reuses at a step: the value of one source, or the line through two, latest first.

        The line runs over step indices, so that it is right also where the two sources and the step are not
        evenly spaced. Raises ExecutionError where a source was not computed in this run.
        """
        latest, *earlier = (self._slot(name, part, source, step, call) for source in sources)
        if not earlier:
            return latest
        return extrapolated(step, (sources[0], sources[1]), latest, earlier[0])

    def _slot(self, name: str, part: CachedPart, source: int, step: int, call: int) -> torch.Tensor:
        value = self._slots.get((name, part, source, call))
        if value is None:
            raise ExecutionError(
                f"{name} reuses step {source} at step {step}, call {call}, but this run has not computed it: "
                "start at ResolvedSchedule.earliest_source and call the UNet equally often at every step"
            )
        return value

    def free(self, step: int) -> None:
        """Drops what neither this step nor a later one reads."""
        self.peak_bytes = max(self.peak_bytes, self.bytes)
        self._slots = {
            key: value for key, value in self._slots.items() if self._last_reads.get((key[0], key[2]), -1) >= step
        }

    def clear(self) -> None:
        """Drops everything."""
        self.peak_bytes = max(self.peak_bytes, self.bytes)
        self._slots = {}

    @property
    def bytes(self) -> int:
        """Bytes held now; a tensor that is kept under two names counts once."""
        storages = {value.untyped_storage().data_ptr(): value.untyped_storage() for value in self._slots.values()}
        return sum(storage.nbytes() for storage in storages.values())
