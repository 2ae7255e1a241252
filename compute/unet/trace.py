"""What one traced forward pass of a UNet shows, as plain data without tensors or modules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from compute.policy.graph import StructureKind
from store.actions import Kind

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class TensorForm:
    """The shape and dtype of a tensor."""

    shape: Shape
    dtype: torch.dtype

    @classmethod
    def of(cls, tensor: Tensor) -> TensorForm:
        """Return the form of a tensor."""
        return cls(shape=tuple(tensor.shape), dtype=tensor.dtype)

    def nan(self, device: torch.device) -> Float[Tensor, "..."]:
        """Return NaN in this form: one expanded number, which takes no memory."""
        return torch.full((), torch.nan, dtype=self.dtype, device=device).expand(self.shape)


@dataclass(frozen=True, kw_only=True)
class OutputForm:
    """What a component returns: one tensor, alone or in a tuple or record of values that are no tensors."""

    tensor: TensorForm
    spec: TreeSpec
    leaves: tuple[Any, ...]
    index: int
    """Which leaf the tensor is."""

    def wrap(self, tensor: Float[Tensor, "..."]) -> Any:
        """Return the tensor as the component returns it."""
        return tree_unflatten([*self.leaves[: self.index], tensor, *self.leaves[self.index + 1 :]], self.spec)


def output_form(output: Any) -> OutputForm | None:
    """Return the form of what a module returns; None where that isn't one tensor."""
    leaves, spec = tree_flatten(output)
    indices = [index for index, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    if len(indices) != 1:
        return None
    (index,) = indices
    constants = tuple(None if position == index else leaf for position, leaf in enumerate(leaves))
    return OutputForm(tensor=TensorForm.of(leaves[index]), spec=spec, leaves=constants, index=index)


def tensor_of(output: Any) -> Float[Tensor, "..."]:
    """Return the tensor of what a component returns."""
    return output if isinstance(output, Tensor) else output[0]


@dataclass(kw_only=True)
class TracedNode:
    """A node of the network: its inputs, and the operations of one pass of the whole batch.

    `resolution` is the number of positions (height times width) of its input, None where that is no picture.
    """

    name: str
    kind: Kind | StructureKind
    inputs: tuple[str, ...]
    resolution: int | None = None
    flops: int = 0
    bypass_flops: int = 0
    has_shortcut: bool = False


@dataclass(frozen=True, kw_only=True)
class TracedLeaf:
    """A value among those that a block returns: a tensor's form, or the value itself where it is none.

    `node` is the component whose unchanged output it is, `origins` all the nodes that it was made of.
    """

    form: TensorForm | None
    value: Any
    node: str | None
    origins: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TracedBlock:
    """A module with components inside: the skip connections that it takes, and what it returns.

    `skips` are in the order of its `res_hidden_states_tuple`, None for those that are no skip connection.
    """

    skips: tuple[str | None, ...]
    spec: TreeSpec
    leaves: tuple[TracedLeaf, ...]


@dataclass(frozen=True, kw_only=True)
class Trace:
    """A forward pass: its nodes in network order, the forms of their outputs in each call, and its blocks.

    `written` holds the nodes whose output something else writes in place. `flops` counts the whole pass.
    """

    nodes: tuple[TracedNode, ...]
    output_origins: tuple[str, ...]
    forms: Mapping[str, tuple[OutputForm, ...]]
    blocks: Mapping[str, TracedBlock]
    written: frozenset[str]
    flops: int
    batch: int
    resolution: int
