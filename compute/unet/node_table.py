"""The nodes of a traced pass, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from compute.policy.graph import SKIP_PREFIX, StructureKind
from compute.unet.blocks import UnsupportedUNet
from compute.unet.provenance import Origins
from compute.unet.trace import TracedBlock, TracedNode
from store.actions import PART_KINDS, Kind

CONCAT_PREFIX = "concat:"
SAMPLE = "sample"
"""The origin of the sample. It is no node."""
_NO_NODES = (SAMPLE,)


@dataclass(kw_only=True)
class _Concat:
    """A concatenation; it becomes a node, named after what reads it first, when something does."""

    origins: Origins
    name: str | None = None


class NodeTable:
    """The nodes that have run, and the skip connections, concatenations and inputs that become nodes once read."""

    def __init__(self) -> None:
        self._nodes: dict[str, TracedNode] = {}
        self._concats: dict[str, _Concat] = {}
        self._skips: dict[str, Origins] = {}
        self._read_skips: dict[str, TracedNode] = {}
        self._inputs: dict[str, TracedNode] = {}
        self._read_inputs: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._nodes

    def add(self, name: str, kind: Kind | StructureKind, origins: Origins, resolution: int | None) -> TracedNode:
        """Add a node that reads tensors of these origins, and return it."""
        inputs = self._read(name, origins, resolution)
        self._nodes[name] = TracedNode(name=name, kind=kind, inputs=inputs, resolution=resolution)
        return self._nodes[name]

    def part(self, name: str, kind: Kind, has_shortcut: bool) -> TracedNode:
        """Return the node of a part of the component that runs, which may have been called before."""
        return self._nodes.setdefault(name, TracedNode(name=name, kind=kind, inputs=(), has_shortcut=has_shortcut))

    def add_input(self, name: str) -> str:
        """Add a further argument of the network, and return its name."""
        self._inputs[name] = TracedNode(name=name, kind="input", inputs=())
        return name

    def add_skip(self, block: str, origins: Origins) -> str | None:
        """Add the skip connection of these origins into a block, and return its name, after the last of them.

        Returns None where no node is among the origins. Raises UnsupportedUNet for a second one from the same node.
        """
        sources = [name for name in self._flat(origins) if name in self._nodes]
        if not sources:
            return None
        order = list(self._nodes)
        source = max(sources, key=order.index)
        name = SKIP_PREFIX + source
        if name in self._skips:
            raise UnsupportedUNet(f"{block} cannot be read: it takes a second skip connection from {source}")
        self._skips[name] = self._flat(origins)
        return name

    def open_concat(self, origins: Origins) -> str:
        """Add a concatenation of tensors of these origins, and return the origin of its result."""
        name = f"concat#{len(self._concats)}"
        self._concats[name] = _Concat(origins=origins)
        return name

    def finish(self, output: Origins) -> tuple[tuple[TracedNode, ...], tuple[str, ...]]:
        """Return all nodes in network order, and those that the network's output is made of."""
        final = self._read("output", output, None)
        ordered = [node for name, node in self._inputs.items() if name in self._read_inputs]
        waiting: list[TracedNode] = []
        for node in self._nodes.values():
            if node.kind not in PART_KINDS:
                ordered += waiting
                waiting = []
            ordered.append(node)
            waiting += [self._read_skips[name] for name in (SKIP_PREFIX + node.name,) if name in self._read_skips]
        return (*ordered, *waiting), final

    def closed(self, block: TracedBlock) -> TracedBlock:
        """Return a block with the names that its skip connections and concatenations have as nodes."""
        skips = tuple(name if name in self._read_skips else None for name in block.skips)
        leaves = tuple(replace(leaf, origins=self._flat(leaf.origins)) for leaf in block.leaves)
        return replace(block, skips=skips, leaves=leaves)

    def _read(self, reader: str, origins: Origins, resolution: int | None) -> tuple[str, ...]:
        """Return the names of the nodes of these origins, which become nodes where they are none yet."""
        names: list[str] = []
        for name in origins:
            if name in self._concats:
                names.append(self._read_concat(reader, self._concats[name], resolution))
            elif name in self._skips:
                names.append(self._read_skip(name))
            elif name not in _NO_NODES:
                self._read_inputs.add(name)
                names.append(name)
        return tuple(dict.fromkeys(names))

    def _read_concat(self, reader: str, concat: _Concat, resolution: int | None) -> str:
        if concat.name is None:
            concat.name = CONCAT_PREFIX + reader
            while concat.name in self._nodes:
                concat.name += "'"
            inputs = self._read(concat.name, concat.origins, resolution)
            self._nodes[concat.name] = TracedNode(name=concat.name, kind="concat", inputs=inputs, resolution=resolution)
        return concat.name

    def _read_skip(self, name: str) -> str:
        if name not in self._read_skips:
            inputs = self._read(name, self._skips[name], None)
            source = self._nodes[name.removeprefix(SKIP_PREFIX)]
            self._read_skips[name] = TracedNode(name=name, kind="skip", inputs=inputs, resolution=source.resolution)
        return name

    def _flat(self, origins: Iterable[str]) -> Origins:
        """Return origins with those of each concatenation in its place, unless that is a node."""
        flat: list[str] = []
        for name in origins:
            concat = self._concats.get(name)
            if concat is None:
                flat.append(name)
            else:
                flat += self._flat(concat.origins) if concat.name is None else [concat.name]
        return tuple(dict.fromkeys(flat))
