"""Text encoders that encode each prompt once: a prompt's encoding does not depend on the step, nor on the ablation."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, update_wrapper
from typing import Any

from torch import Tensor, nn

from compute.unet.method_patch import MethodPatch

_KEPT = 64
"""How many outputs of an encoder are kept; the units of a sweep share a few batches of prompts."""


class EncoderCache:
    """The latest outputs of a pipeline's text encoders, by the values of their arguments.

    The outputs are the encoders' own objects; pipelines do not change them in place.
    """

    def __init__(self, pipe: Any) -> None:
        self._encoders = [
            part
            for name, part in pipe.components.items()
            if name.startswith("text_encoder") and isinstance(part, nn.Module)
        ]
        self._outputs: OrderedDict[Any, Any] = OrderedDict()

    @contextmanager
    def used(self) -> Iterator[None]:
        """Answer calls of the text encoders from the cache within the context."""
        patches = []
        try:
            for number, encoder in enumerate(self._encoders):
                call = update_wrapper(partial(self._call, number, encoder.forward), encoder.forward)
                patches.append(MethodPatch(encoder, "forward", call))
            yield
        finally:
            for patch in reversed(patches):
                patch.remove()

    def _call(self, number: int, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        key = (number, _content(args), _content(kwargs))
        if key not in self._outputs:
            self._outputs[key] = original(*args, **kwargs)
        self._outputs.move_to_end(key)
        while len(self._outputs) > _KEPT:
            self._outputs.popitem(last=False)
        return self._outputs[key]


def _content(value: Any) -> Any:
    """Return a hashable value that is equal for equal arguments."""
    if isinstance(value, Tensor):
        return value.dtype, tuple(value.shape), str(value.device), value.detach().cpu().contiguous().numpy().tobytes()
    if isinstance(value, dict):
        return tuple((name, _content(part)) for name, part in sorted(value.items()))
    if isinstance(value, list | tuple):
        return tuple(_content(part) for part in value)
    return value
