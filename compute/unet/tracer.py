"""Traces one forward pass of a UNet's real modules on the meta device.

On the meta device tensors have a shape but no values. A dispatch mode puts a meta tensor in the place of each weight
just before an operation uses it, so the pass copies no weights, takes neither memory nor arithmetic, and draws no
random numbers. Each module runs the forward of its class, without hooks: what other code has attached to modules (to
move weights, to record outputs) must not run here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import flop_registry

from compute.unet.blocks import UnsupportedUNet
from compute.unet.dataflow import Dataflow
from compute.unet.method_patch import MethodPatch
from compute.unet.trace import Trace

META = torch.device("meta")


def trace_call(unet: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Trace:
    """Trace the forward pass of a UNet's class with the arguments of a call, whose tensors may be on any device.

    Dispatch modes of other code, such as a counter of operations, don't see the pass.
    The UNet is as before afterwards, also where the pass fails. Raises UnsupportedUNet, with the path and the class of
    the module that can't be read.
    """
    tracer = _Tracer(unet)
    with tracer.modules_patched(), _disable_current_modes(), torch.inference_mode(False), torch.no_grad(), tracer:
        try:
            return tracer.run(args, without_lora_scale(kwargs))
        except UnsupportedUNet:
            raise
        except Exception as error:  # what a module raises can be anything
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            where = tracer.failed or f"the UNet ({type(unet).__name__})"
            raise UnsupportedUNet(f"{where} cannot be read: {reason[:300]}") from error


def without_lora_scale(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return arguments without the LoRA scale, for which diffusers would rescale the layers in place."""
    attention = kwargs.get("cross_attention_kwargs")
    if not isinstance(attention, dict) or "scale" not in attention:
        return kwargs
    return kwargs | {"cross_attention_kwargs": {key: value for key, value in attention.items() if key != "scale"}}


class _Tracer(TorchDispatchMode):
    """Carries operations out on the meta device, counts their FLOPs, and tells the dataflow of them."""

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._unet = unet
        self._flow = Dataflow(unet)
        self._twins: dict[int, tuple[Tensor, Tensor]] = {}
        self._mutated: dict[Any, tuple[int, ...]] = {}
        self.failed = ""
        """The innermost module that raised, if any did."""

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Trace:
        """Run the forward pass and return its trace."""
        args, kwargs = tree_map_only(Tensor, self._on_meta, (args, kwargs))
        self._flow.begin(args, kwargs)
        return self._flow.trace(type(self._unet).forward(self._unet, *args, **kwargs))

    @contextmanager
    def modules_patched(self) -> Iterator[None]:
        """Make calls of the UNet's modules go through the dataflow, past all hooks."""
        with ExitStack() as stack:
            for path, module in self._unet.named_modules():
                if path and not isinstance(module, (nn.ModuleList, nn.ModuleDict)):
                    forward = partial(type(module).forward, module)
                    call = partial(self._call, path, module, forward, self._flow.handler(path))
                    stack.callback(MethodPatch(module, "_compiled_call_impl", call).remove)
            yield

    def _call(
        self,
        path: str,
        module: nn.Module,
        forward: Callable[..., Any],
        handler: Callable[..., Any] | None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        try:
            return forward(*args, **kwargs) if handler is None else handler(forward, args, kwargs)
        except Exception:
            self.failed = self.failed or f"{path} ({type(module).__name__})"
            raise

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args = [self._on_meta_nested(value) for value in args]
        kwargs = {name: self._on_meta_nested(value) for name, value in (kwargs or {}).items()}
        if isinstance(kwargs.get("device"), torch.device):
            kwargs["device"] = META
        output = func(*args, **kwargs)
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self._flow.count(count(*args, **kwargs, out_val=output))
        self._flow.follow(func, args, kwargs, [args[index] for index in self._mutated_by(func)], output)
        return output

    def _mutated_by(self, func: Any) -> tuple[int, ...]:
        """Return the positions of the arguments that an operation writes in place."""
        if func not in self._mutated:
            arguments = func._schema.arguments if func._schema.is_mutable else ()
            self._mutated[func] = tuple(
                index
                for index, argument in enumerate(arguments)
                if argument.alias_info is not None and argument.alias_info.is_write and not argument.kwarg_only
            )
        return self._mutated[func]

    def _on_meta_nested(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self._on_meta(value)
        if isinstance(value, (list, tuple)) and any(isinstance(element, Tensor) for element in value):
            return type(value)(self._on_meta_nested(element) for element in value)
        return value

    def _on_meta(self, tensor: Tensor) -> Tensor:
        """Return a tensor itself where it is on the meta device; else one on the meta device in its place.

        So too for a tensor of inference mode, whose operations torch does not take apart into those that are counted.
        """
        if tensor.is_meta and not tensor.is_inference():
            return tensor
        entry = self._twins.get(id(tensor))
        if entry is None:
            twin = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=META)
            entry = self._twins[id(tensor)] = (tensor, twin)
        return entry[1]
