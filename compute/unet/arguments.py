"""The arguments of a module's call."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

SKIPS = "res_hidden_states_tuple"
"""The argument in which a decoder block is given its skip connections."""


@dataclass(frozen=True, kw_only=True)
class SkipsArgument:
    """Where a decoder block's call has its skip connections: by name, or at a position."""

    position: int

    def get(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Return the skip connections; an element may be None."""
        return tuple(kwargs[SKIPS] if SKIPS in kwargs else args[self.position])

    def put(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], skips: tuple[Any, ...]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments with other skip connections."""
        if SKIPS in kwargs:
            return args, kwargs | {SKIPS: skips}
        return (*args[: self.position], skips, *args[self.position + 1 :]), kwargs


def skips_argument(block: nn.Module) -> SkipsArgument | None:
    """Return where a block takes skip connections; None for one that takes none."""
    parameters = list(inspect.signature(type(block).forward).parameters)[1:]
    return SkipsArgument(position=parameters.index(SKIPS)) if SKIPS in parameters else None


def main_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Return the first argument of a call, given by position or by name: the hidden states."""
    tensor: Tensor = args[0] if args else next(iter(kwargs.values()))
    return tensor


def tensors_in(values: Any) -> list[Tensor]:
    """Return the tensors in nested arguments."""
    return [leaf for leaf in tree_flatten(values)[0] if isinstance(leaf, Tensor)]


def positions(hidden_states: Tensor) -> int | None:
    """Return height times width of hidden states (..., H, W); None where they are no pictures."""
    if hidden_states.ndim < 4:
        return None
    return int(hidden_states.shape[-2] * hidden_states.shape[-1])
