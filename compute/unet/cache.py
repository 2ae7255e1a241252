"""The values of earlier steps that later steps reuse, each kept until it is read for the last time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor

from compute.policy.extrapolation import extrapolated
from store.actions import CachedPart
from store.errors import SkipscopeError


class ExecutionError(SkipscopeError):
    """A schedule cannot be executed as the UNet is called; the message says what the sampling loop should do."""


class Cache:
    """Tensors by component, part, step, and call within the step; the calls of a step never share an entry.

    `last_reads` maps a component and a step to the last step that reads what the component computed at that step.
    """

    def __init__(self, last_reads: Mapping[tuple[str, int], int]) -> None:
        self._last_reads = last_reads
        self._tensors: dict[tuple[str, CachedPart, int, int], Tensor] = {}
        self.peak_bytes = 0

    def write(self, name: str, part: CachedPart, step: int, call: int, value: Float[Tensor, "..."]) -> None:
        """Keep a tensor that a later step reads."""
        self._tensors[name, part, step, call] = value

    def read(self, name: str, part: CachedPart, sources: Sequence[int], step: int, call: int) -> Float[Tensor, "..."]:
        """Return what a component reuses at a step: the tensor of a single source, or the line through two.

        `sources` are the steps to read, the latest first. Raises ExecutionError where this run has not computed one.
        """
        latest, *earlier = (self._entry(name, part, source, step, call) for source in sources)
        if not earlier:
            return latest
        return extrapolated(step, (sources[0], sources[1]), latest, earlier[0])

    def _entry(self, name: str, part: CachedPart, source: int, step: int, call: int) -> Tensor:
        value = self._tensors.get((name, part, source, call))
        if value is None:
            raise ExecutionError(
                f"{name} reuses step {source} at step {step}, call {call}, but this run has not computed it: "
                "start at ResolvedSchedule.earliest_source and call the UNet equally often at every step"
            )
        return value

    def free(self, step: int) -> None:
        """Remove what is read neither at this step nor later."""
        self.peak_bytes = max(self.peak_bytes, self.bytes)
        self._tensors = {
            key: value for key, value in self._tensors.items() if self._last_reads.get((key[0], key[2]), -1) >= step
        }

    def clear(self) -> None:
        """Remove everything."""
        self.peak_bytes = max(self.peak_bytes, self.bytes)
        self._tensors = {}

    @property
    def bytes(self) -> int:
        """The memory of the tensors in the cache, in bytes; a tensor with several entries counts once."""
        storages = {value.untyped_storage().data_ptr(): value.untyped_storage() for value in self._tensors.values()}
        return sum(storage.nbytes() for storage in storages.values())
