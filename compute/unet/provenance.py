"""Which nodes each tensor comes from, while a UNet is traced.

A tensor's origins are the names of the nodes whose outputs it was made of, in order, without what made those outputs.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

Origins = tuple[str, ...]


def united(origins: Iterable[Origins]) -> Origins:
    """Return the names of several origins, each once, in the order in which they come first."""
    return tuple(dict.fromkeys(name for names in origins for name in names))


class Provenance:
    """The origins of tensors, the nodes whose output a tensor is, and the outputs that are written in place.

    Tensors are told apart by identity, writes by the storage that views share.
    """

    def __init__(self) -> None:
        self._origins: dict[int, Origins] = {}
        self._written_into: dict[int, Origins] = {}
        self._owners: dict[int, set[str]] = {}
        self._outputs: dict[int, str] = {}
        self._kept: list[Tensor] = []
        """So that no identity is given twice."""
        self.written: set[str] = set()
        """The nodes whose output something else writes in place."""

    def mark(self, tensor: Tensor, origins: Origins) -> None:
        """Set the origins of a tensor."""
        self._kept.append(tensor)
        self._origins[id(tensor)] = origins

    def mark_output(self, tensor: Tensor, name: str) -> Tensor:
        """Return a view of a tensor that is the output of a node.

        A view, because a module may return its input, or a tensor that something else holds, too.
        """
        view: Tensor = torch.ops.aten.alias(tensor)
        self.mark(view, (name,))
        self._outputs[id(view)] = name
        self.own(view, name)
        return view

    def own(self, tensor: Tensor, name: str) -> None:
        """Note that a node's output lies in the storage of a tensor."""
        self._kept.append(tensor)
        self._owners.setdefault(_storage(tensor), set()).add(name)

    def of(self, tensors: Iterable[Tensor]) -> Origins:
        """Return the origins of tensors together."""
        return united(
            origins
            for tensor in tensors
            for origins in (
                self._origins.get(id(tensor), ()),
                self._written_into.get(_storage(tensor), ()) if self._written_into else (),
            )
        )

    def output_of(self, tensor: Tensor) -> str | None:
        """Return the node whose unchanged output a tensor is; None where it is of none."""
        return self._outputs.get(id(tensor))

    def write(self, target: Tensor, origins: Origins) -> None:
        """Note that a tensor is written in place with values of these origins."""
        storage = _storage(target)
        self._kept.append(target)
        self._written_into[storage] = united([self._written_into.get(storage, ()), origins])
        owners = self._owners.get(storage, set())
        self.written |= owners
        self._outputs = {key: name for key, name in self._outputs.items() if name not in owners}


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
