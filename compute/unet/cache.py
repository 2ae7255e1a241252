"""The values of earlier steps that later steps reuse, each kept until it is read for the last time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from compute.policy.extrapolation import extrapolated
from store.actions import CachedPart
from store.errors import SkipscopeError

Call = tuple[int, int]


class ExecutionError(SkipscopeError):
    """A schedule cannot be executed as the UNet is called; the message says what the sampling loop should do."""


class _Entry(NamedTuple):
    """A tensor, and the number of times that it had been written in place when it was kept."""

    tensor: Tensor
    version: int


class Cache:
    """Tensors by component, part, step, and call within the step; the calls of a step never share an entry.

    A call is that of the UNet, and that of the component within it.

    `last_reads` maps a component and a step to the last step that reads what the component computed at that step.
    """

    def __init__(self, last_reads: Mapping[tuple[str, int], int]) -> None:
        self._last_reads = last_reads
        self._entries: dict[tuple[str, CachedPart, int, Call], _Entry] = {}
        self.peak_bytes = 0

    def write(self, name: str, part: CachedPart, step: int, call: Call, value: Float[Tensor, "..."]) -> None:
        """Keep a tensor that a later step reads."""
        self._entries[name, part, step, call] = _Entry(tensor=value, version=_version(value))

    def read(self, name: str, part: CachedPart, sources: Sequence[int], step: int, call: Call) -> Float[Tensor, "..."]:
        """Return what a component reuses at a step: the tensor of one source, or the curve through those of several.

        `sources` are the steps to read, the latest first. Raises ExecutionError where this run has not computed one.
        """
        return extrapolated(step, sources, [self._entry(name, part, source, step, call) for source in sources])

    def _entry(self, name: str, part: CachedPart, source: int, step: int, call: Call) -> Tensor:
        entry = self._entries.get((name, part, source, call))
        if entry is None:
            raise ExecutionError(
                f"{name} reuses step {source} at step {step}, call {call[0]}, but this run has not computed it: "
                "a run must compute what it reuses, and call the UNet equally often at every step"
            )
        if _version(entry.tensor) != entry.version:
            raise ExecutionError(
                f"{name} can't reuse step {source} at step {step}: what it computed was changed in place since, by "
                "code that is not of the UNet's classes (a patched forward or a hook)"
            )
        return entry.tensor

    def free(self, step: int) -> None:
        """Remove what is read neither at this step nor later."""
        self.peak_bytes = max(self.peak_bytes, self.bytes)
        self._entries = {
            key: entry for key, entry in self._entries.items() if self._last_reads.get((key[0], key[2]), -1) >= step
        }

    def clear(self) -> None:
        """Remove everything."""
        self.peak_bytes = max(self.peak_bytes, self.bytes)
        self._entries = {}

    @property
    def bytes(self) -> int:
        """The memory of the tensors in the cache, in bytes; a tensor with several entries counts once."""
        all_storages = [entry.tensor.untyped_storage() for entry in self._entries.values()]
        return sum({storage.data_ptr(): storage.nbytes() for storage in all_storages}.values())


def _version(tensor: Tensor) -> int:
    """Return a number that changes when a tensor is written in place; 0 where torch does not count (inference mode)."""
    return 0 if tensor.is_inference() else tensor._version
