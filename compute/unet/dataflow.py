"""Follows which node of the component graph each tensor of a traced pass comes from.

Modules that are components run as nodes; so do other modules with parameters between them, where what they are given
comes from the sample. All operations between nodes hand on the origins of what they use.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from compute.unet.arguments import main_input, positions, skips_argument, tensors_in
from compute.unet.blocks import ComponentModule, UnsupportedUNet, component_modules
from compute.unet.node_table import SAMPLE, NodeTable
from compute.unet.provenance import Provenance
from compute.unet.shortcut import has_shortcut, shortcut
from compute.unet.trace import (
    OutputForm,
    TensorForm,
    Trace,
    TracedBlock,
    TracedLeaf,
    TracedNode,
    output_form,
    tensor_of,
)
from store.actions import Kind

RESIDUALS = "additional_residual"
"""In the name of each argument whose tensors are added between components."""
Handler = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


class Dataflow:
    """The nodes of a pass, what they read, and what they cost. `compute.unet.tracer` tells it what happens."""

    def __init__(self, unet: nn.Module) -> None:
        self._unet = unet
        self._modules = dict(unet.named_modules())
        self._components = component_modules(unet)
        self._containers = _ancestors(path for path, component in self._components.items() if not component.is_part)
        self._tensors = Provenance()
        self._table = NodeTable()
        self._running: list[TracedNode] = []
        self._bypassed: TracedNode | None = None
        self._forms: dict[str, list[OutputForm]] = {}
        self._blocks: dict[str, TracedBlock] = {}
        self._flops = 0
        self._sample: Tensor | None = None

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Begin a pass of a call with these arguments: they are the origins of all that follows."""
        arguments = inspect.signature(type(self._unet).forward).bind(self._unet, *args, **kwargs).arguments
        self._sample = arguments[SAMPLE]
        self._tensors.mark(self._sample, (SAMPLE,))
        for name, value in arguments.items():
            if RESIDUALS in name:
                for index, tensor in enumerate(tensors_in(value)):
                    suffix = "" if isinstance(value, Tensor) else f".{index}"
                    self._tensors.mark(tensor, (self._table.add_input(f"input:{name}{suffix}"),))

    def handler(self, path: str) -> Handler | None:
        """Return what runs a module's forward instead of a plain call; None for a module inside of others."""
        if path in self._components:
            component = self._components[path]
            return partial(self._run_part if component.is_part else self._run_component, component)
        if path in self._containers:
            return partial(self._run_block, path)
        parent = path.rpartition(".")[0]
        if not parent or parent in self._containers:
            return partial(self._run_other, path)
        return None

    def count(self, flops: int) -> None:
        """Count the operations of one call of an operator."""
        if self._bypassed is not None:
            self._bypassed.bypass_flops += flops
            return
        self._flops += flops
        for node in self._running:
            node.flops += flops

    def follow(self, func: Any, args: list[Any], kwargs: dict[str, Any], written: list[Any], output: Any) -> None:
        """Hand on the origins of an operator's arguments to its outputs, and to what it writes in place."""
        if self._running:
            for target in written:
                self._tensors.write(target, ())
            return
        sources = tensors_in((args, kwargs))
        origins = self._tensors.of(sources)
        if func.__name__.startswith("cat.") and len(set(origins) - {SAMPLE}) > 1:
            origins = (self._table.open_concat(origins),)
        for target in written:
            self._tensors.write(target, origins)
        if origins:
            for tensor in tensors_in(output):
                self._tensors.mark(tensor, origins)

    def trace(self, output: Any) -> Trace:
        """Return the trace of the pass, whose result is `output`."""
        assert self._sample is not None, "a pass begins with a sample"
        nodes, final = self._table.finish(self._tensors.of(tensors_in(output)[:1]))
        return Trace(
            nodes=nodes,
            output_origins=final,
            forms={name: tuple(forms) for name, forms in self._forms.items()},
            blocks={path: self._table.closed(block) for path, block in self._blocks.items()},
            written=frozenset(self._tensors.written),
            flops=self._flops,
            batch=self._sample.shape[0],
            resolution=positions(self._sample) or 0,
        )

    def _run_component(
        self, component: ComponentModule, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run a component as a node, and then its shortcut alone, to count what that costs."""
        hidden_states = main_input(args, kwargs)
        node = self._begin_node(component.path, component.kind, tensors_in((args, kwargs)), hidden_states)
        output = self._run_node(node, component.module, forward, args, kwargs)
        if has_shortcut(component):
            node.has_shortcut = True
            self._running.append(node)
            self._bypassed = node
            shortcut(component, hidden_states, ())
            self._bypassed = None
            self._running.pop()
        return output

    def _run_part(
        self, component: ComponentModule, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run a part of a transformer. It may be called more than once in a pass."""
        node = self._table.part(component.path, _part_kind(component.kind, args, kwargs), has_shortcut(component))
        self._running.append(node)
        output = forward(*args, **kwargs)
        self._running.pop()
        self._tensors.own(self._add_form(node.name, component.module, output), node.name)
        return output

    def _run_other(self, path: str, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a module that is no component: a node where it has parameters and is given what comes from the sample."""
        module = self._modules[path]
        tensors = tensors_in((args, kwargs))
        if self._running or next(module.parameters(), None) is None or not self._tensors.of(tensors):
            return forward(*args, **kwargs)
        kind: Any = "convolution" if type(module).__name__.startswith("Conv") else "layer"
        return self._run_node(self._begin_node(path, kind, tensors, tensors[0]), module, forward, args, kwargs)

    def _begin_node(self, path: str, kind: Any, tensors: list[Tensor], hidden_states: Tensor) -> TracedNode:
        if path in self._table:
            raise UnsupportedUNet(
                f"{path} ({type(self._modules[path]).__name__}) cannot be read: it is called more than once in a pass"
            )
        return self._table.add(path, kind, self._tensors.of(tensors), positions(hidden_states))

    def _run_node(
        self, node: TracedNode, module: nn.Module, forward: Callable[..., Any], args: Any, kwargs: dict[str, Any]
    ) -> Any:
        self._running.append(node)
        output = forward(*args, **kwargs)
        self._running.pop()
        tensor = self._add_form(node.name, module, output)
        return self._forms[node.name][-1].wrap(self._tensors.mark_output(tensor, node.name))

    def _add_form(self, name: str, module: nn.Module, output: Any) -> Tensor:
        form = output_form(output)
        if form is None:
            raise UnsupportedUNet(
                f"{name} ({type(module).__name__}) cannot be read: it does not return one tensor, as components must"
            )
        self._forms.setdefault(name, []).append(form)
        return tensor_of(output)

    def _run_block(self, path: str, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a module with components inside; each skip connection that it takes becomes a tensor of its own."""
        skips: tuple[str | None, ...] = ()
        place = skips_argument(self._modules[path])
        if place is not None:
            elements = place.get(args, kwargs)
            names = [self._table.add_skip(path, self._tensors.of(tensors_in([element]))) for element in elements]
            renamed = [self._as_skip(element, name) for element, name in zip(elements, names, strict=True)]
            args, kwargs = place.put(args, kwargs, tuple(renamed))
            skips = tuple(names)
        output = forward(*args, **kwargs)
        leaves, spec = tree_flatten(output)
        self._blocks[path] = TracedBlock(skips=skips, spec=spec, leaves=tuple(map(self._leaf, leaves)))
        return output

    def _as_skip(self, element: Any, name: str | None) -> Any:
        return element if name is None else self._tensors.mark_output(element, name)

    def _leaf(self, leaf: Any) -> TracedLeaf:
        if not isinstance(leaf, Tensor):
            return TracedLeaf(form=None, value=leaf, node=None, origins=())
        node = self._tensors.output_of(leaf)
        return TracedLeaf(form=TensorForm.of(leaf), value=None, node=node, origins=self._tensors.of([leaf]))


def _ancestors(paths: Iterable[str]) -> frozenset[str]:
    """Return the paths of the modules around those of these paths."""
    found: set[str] = set()
    for path in paths:
        while path := path.rpartition(".")[0]:
            found.add(path)
    return frozenset(found)


def _part_kind(kind: Kind, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Kind:
    """Return the kind of a part by what it is called with: an attention that is given a text is cross-attention."""
    if kind == "feed_forward":
        return kind
    text = kwargs.get("encoder_hidden_states", args[1] if len(args) > 1 else None)
    return "self_attention" if text is None else "cross_attention"
