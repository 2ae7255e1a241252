"""The component graph of a UNet as plain data: its nodes, their inputs, costs and admitted actions.

There are two sorts of nodes: components, which a schedule can act on (`store.actions.Kind`), and the structures between
them (the input convolution, concatenations, the output). A skip connection is a node of its own, between its source
module and the decoder's concatenation. `unet` is a component without edges that stands for the whole network, and
`guidance` one that stands for the unconditional half of its batch, where a graph has it.

A component may have parts, which are components too: the attentions and feed-forwards inside a transformer. A part's
name begins with its component's, and it has no edges: it runs whenever the component around it is computed.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import from_json

from store.actions import KINDS, PART_KINDS, ActionName, Kind
from store.errors import SkipscopeError
from store.folder.own_digest import without_digest
from store.records import Record, canonical_json

UNET = "unet"
GUIDANCE = "guidance"
SKIP_PREFIX = "skip:"
StructureKind = Literal["embedding", "input", "convolution", "layer", "concat", "output"]
Count = Annotated[int, Field(ge=0, lt=2**63)]
NodeName = Annotated[str, Field(max_length=200)]


class UnknownComponent(SkipscopeError):
    """A name or pattern that matches no component of the graph."""


class Component(Record):
    """A part of the network that a schedule can act on.

    `flops` counts the component's operations in one forward pass of one sample (a multiplication and an addition are
    two) with those of its parts, `bypass_flops` those that remain when it is bypassed. `level` counts resolutions from
    0, the full one. `position` is the index in network order.
    """

    name: NodeName
    kind: Kind
    parameters: Count
    flops: Count
    bypass_flops: Count = 0
    actions: tuple[ActionName, ...]
    level: Count
    position: Count


class Structure(Record):
    """A node between components.

    An `embedding` runs at every step that runs the network. An `input` is a further argument of the network that is
    added between components: the residuals of a ControlNet or an adapter. A `layer` has parameters but no actions.
    """

    name: NodeName
    kind: StructureKind
    parameters: Count = 0
    flops: Count = 0
    level: Count = 0
    position: Count


_GUIDANCE = {"name": GUIDANCE, "kind": "guidance", "parameters": 0, "actions": ("compute", "bypass", "reuse")}
Node = Component | Structure
Edge = tuple[str, str]


class ComponentGraph(Record):
    """Components and structures in network order, and the edges (source, target) along which tensors flow.

    Network order is topological: every edge points forwards. FLOPs were counted for an input of shape `input_shape`
    (channels, height, width) and `sequence_length` text tokens.
    """

    components: tuple[Component, ...]
    structures: tuple[Structure, ...]
    edges: tuple[Edge, ...]
    input_shape: tuple[int, int, int]
    sequence_length: int

    @model_validator(mode="after")
    def _edges_point_forwards(self) -> ComponentGraph:
        positions = {node.name: node.position for node in self._all_nodes()}
        around = self._wholes()
        for component in self.components:
            if component.kind in PART_KINDS and _parent(component.name, around) is None:
                raise ValueError(f"{component.name} is a part ({component.kind}), but no component is around it")
        if len(positions) != len(self._all_nodes()):
            raise ValueError("two nodes of the graph have the same name")
        for source, target in self.edges:
            if source not in positions or target not in positions:
                raise ValueError(f"edge {source} -> {target} names a node that the graph lacks")
            if positions[source] >= positions[target]:
                raise ValueError(f"edge {source} -> {target} points backwards")
        return self

    def _wholes(self) -> frozenset[str]:
        """The names of the components that are no parts."""
        return frozenset(component.name for component in self.components if component.kind not in PART_KINDS)

    def _all_nodes(self) -> list[Node]:
        return [*self.components, *self.structures]

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """Every node by name, in network order."""
        return {node.name: node for node in sorted(self._all_nodes(), key=lambda node: node.position)}

    @cached_property
    def inputs(self) -> Mapping[str, tuple[str, ...]]:
        """The nodes that each node reads."""
        inputs: dict[str, list[str]] = {name: [] for name in self.nodes}
        for source, target in self.edges:
            inputs[target].append(source)
        return {name: tuple(sources) for name, sources in inputs.items()}

    @cached_property
    def parents(self) -> Mapping[str, str]:
        """The component around each part, in network order."""
        around = self._wholes()
        parts = (name for name in self.names if self.component(name).kind in PART_KINDS)
        return {name: parent for name in parts if (parent := _parent(name, around)) is not None}

    @cached_property
    def parts(self) -> Mapping[str, tuple[str, ...]]:
        """The parts of each component that has some, in network order."""
        parts: dict[str, list[str]] = {}
        for name, parent in self.parents.items():
            parts.setdefault(parent, []).append(name)
        return {parent: tuple(names) for parent, names in parts.items()}

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """The output nodes of the network."""
        return tuple(structure.name for structure in self.structures if structure.kind == "output")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the components in network order."""
        return tuple(name for name, node in self.nodes.items() if isinstance(node, Component))

    def component(self, name: str) -> Component:
        """Return the component of a name. Raises UnknownComponent."""
        node = self.nodes.get(name)
        if not isinstance(node, Component):
            raise UnknownComponent(f"no component is called {name!r}{self._near(name)}")
        return node

    def of_kind(self, kind: Kind) -> tuple[str, ...]:
        """Return the names of the components of a kind, in network order."""
        return tuple(component.name for component in self.components if component.kind == kind)

    def match(self, patterns: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the components that match any of the patterns, in network order.

        A pattern is a name, a shell-style glob over names (`up_blocks.*.attentions.*`) or a kind (`kind:resnet`). A
        glob that matches a component does not match its parts: `*.attn2` and `kind:cross_attention` do, `*` does not.
        Raises UnknownComponent, with similar names, for a pattern that matches nothing.
        """
        matched: set[str] = set()
        for pattern in patterns:
            names = self._matching(pattern)
            if not names:
                raise UnknownComponent(f"no component matches {pattern!r}{self._near(pattern)}")
            matched.update(names)
        return tuple(name for name in self.names if name in matched)

    def _matching(self, pattern: str) -> tuple[str, ...]:
        if pattern.startswith("kind:"):
            kind = pattern.removeprefix("kind:")
            return tuple(component.name for component in self.components if component.kind == kind)
        names = [name for name in self.names if fnmatchcase(name, pattern)]
        return tuple(name for name in names if name == pattern or self.parents.get(name) not in names)

    def _near(self, pattern: str) -> str:
        """Return the end of an error message: names similar to a pattern."""
        if pattern.startswith("kind:"):
            kinds = [kind for kind in KINDS if self.of_kind(kind)]
            return f"; the kinds here are {', '.join(kinds)}"
        near = difflib.get_close_matches(pattern, self.names, n=3, cutoff=0.5)
        return f"; near names: {', '.join(near)}" if near else f"; names look like {', '.join(self.names[1:4])}"

    @cached_property
    def total_flops(self) -> int:
        """FLOPs of one forward pass of one sample with every component computed."""
        return self.flops(self.nodes)

    def flops(self, running: Iterable[str], bypassed: Iterable[str] = ()) -> int:
        """Return the FLOPs of one forward pass of one sample that computes the nodes `running` and bypasses others.

        Embeddings are always counted; `unet` and `guidance` are not, because their nodes are. A component is counted
        without its parts.
        """
        names = set(running) - {UNET, GUIDANCE}
        names |= {structure.name for structure in self.structures if structure.kind == "embedding"}
        own = sum(self.nodes[name].flops - self._flops_of_parts.get(name, 0) for name in names)
        return own + sum(self.component(name).bypass_flops for name in bypassed)

    @cached_property
    def guided(self) -> ComponentGraph:
        """The graph with `guidance` as its last component: the half of the network's work that guidance adds."""
        if GUIDANCE in self.nodes:
            return self
        whole = self.component(UNET)
        half = whole.model_copy(update=_GUIDANCE | {"flops": whole.flops // 2, "position": len(self.nodes)})
        own = {name: getattr(self, name) for name in ComponentGraph.model_fields}  # not what is cached beside them
        return ComponentGraph(**own | {"components": (*self.components, half)})

    @cached_property
    def _flops_of_parts(self) -> Mapping[str, int]:
        return {name: sum(self.nodes[part].flops for part in parts) for name, parts in self.parts.items()}

    def to_json(self) -> str:
        """Return the canonical JSON text of the graph."""
        return canonical_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> ComponentGraph:
        """Read a graph from JSON text. Raises ValueError for text that is no graph, or has a digest of another one."""
        document = from_json(text)
        return cls.model_validate_json(json.dumps(without_digest(document)) if isinstance(document, dict) else text)


def _parent(part: str, components: frozenset[str]) -> str | None:
    """Return the longest name of a component that a part's name begins with, up to a dot."""
    while "." in part:
        part = part.rpartition(".")[0]
        if part in components:
            return part
    return None


def network_as_one() -> ComponentGraph:
    """Return the graph of a network of which nothing is known: its only component is `unet`."""
    whole = Component(name=UNET, kind="unet", parameters=0, flops=0, actions=("compute", "reuse"), level=0, position=0)
    output = Structure(name="output", kind="output", position=1)
    return ComponentGraph(components=(whole,), structures=(output,), edges=(), input_shape=(1, 1, 1), sequence_length=1)
