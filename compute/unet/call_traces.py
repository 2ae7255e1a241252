"""The traces of a UNet's calls. One is made for each form of the arguments, and used for all calls of that form."""

from __future__ import annotations

import weakref
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from compute.unet.numeric_settings import FREEU
from compute.unet.trace import Trace
from compute.unet.tracer import trace_call

_traces: weakref.WeakKeyDictionary[nn.Module, dict[Any, Trace]] = weakref.WeakKeyDictionary()


def trace_of_call(unet: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Trace:
    """Return the trace of a call with arguments of these shapes. Raises UnsupportedUNet."""
    traces = _traces.setdefault(unet, {})
    key = _form(unet, args, kwargs)
    if key not in traces:
        traces[key] = trace_call(unet, args, kwargs)
    return traces[key]


def _form(unet: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what the dataflow and the shapes of a pass depend on: not the values of tensors and numbers."""
    leaves, spec = tree_flatten((args, kwargs))
    return spec, tuple(form_of(leaf) for leaf in leaves), freeu_of(unet)


def freeu_of(unet: Any) -> tuple[bool, ...]:
    """Return which decoder blocks' FreeU is on, setting by setting."""
    blocks = [vars(block) for block in getattr(unet, "up_blocks", ())]
    return tuple(block.get(name) is not None for block in blocks for name in FREEU)


def form_of(leaf: Any) -> Any:
    """Return what the dataflow of a pass depends on in an argument: a tensor's shape and dtype, a number's type."""
    if isinstance(leaf, Tensor):
        return tuple(leaf.shape), leaf.dtype
    return leaf if leaf is None or isinstance(leaf, (bool, str)) else type(leaf)
