"""Which components of a network stand together in one tile of its drawing."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from compute.policy.graph import UNET, Component, ComponentGraph

_BLOCK = re.compile(r"(?:(?:down|up)_blocks\.\d+|mid_block)(?=\.|$)")
_ENDS = ("convolution", "layer", "output")  # structures that are drawn
MOST_COLUMNS = 48
"""With more columns, a drawing opens with its blocks folded."""


@dataclass(frozen=True, kw_only=True)
class Fold:
    """A column of the drawing: one component, a folded block, or an end of the network (without members)."""

    name: str
    members: tuple[str, ...]
    level: int
    folded: bool


@dataclass(frozen=True, kw_only=True)
class Bridge:
    """Skip connections between the same two columns."""

    name: str
    members: tuple[str, ...]
    source: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Folds:
    """Columns in network order, the edges of the main path between them, and the bridges over them."""

    columns: tuple[Fold, ...]
    edges: tuple[tuple[str, str], ...]
    bridges: tuple[Bridge, ...]


def block_of(name: str) -> str | None:
    """Return the block of a component by its module path: `down_blocks.1`; None for one outside of blocks."""
    match = _BLOCK.match(name)
    return match[0] if match else None


def block_label(block: str) -> str:
    """Return `Down 1` for `down_blocks.1`."""
    side, _, number = block.partition(".")
    return {"down_blocks": f"Down {number}", "up_blocks": f"Up {number}", "mid_block": "Middle"}.get(side, block)


def blocks(graph: ComponentGraph) -> tuple[str, ...]:
    """Return the network's blocks of several components, in network order; without those of skip connections."""
    members: dict[str, int] = {}
    for name in graph.names:
        if name not in graph.parents and (block := block_of(name)):
            members[block] = members.get(block, 0) + 1
    return tuple(block for block, number in members.items() if number > 1)


def fold(graph: ComponentGraph, folded: Collection[str]) -> Folds:
    """Return what stands together if these blocks are folded."""
    members: dict[str, list[str]] = {}
    levels: dict[str, int] = {}
    of_node: dict[str, str] = {}
    for name, node in graph.nodes.items():
        component = isinstance(node, Component)
        if name == UNET or node.kind == "skip" or not (component or node.kind in _ENDS):
            continue
        block = block_of(name) if component else None
        key = block if block in folded and block is not None else name
        if name in graph.parents:
            if key != name:
                members[key].append(name)
            continue
        members.setdefault(key, []).extend([name] if component else [])
        levels.setdefault(key, node.level)
        of_node[name] = key
    columns = [
        Fold(name=key, members=tuple(names), level=levels[key], folded=key in folded) for key, names in members.items()
    ]
    sources = _column_sources(graph, of_node)
    edges = {(source, key): None for name, key in of_node.items() for source in sources[name] if source != key}
    return Folds(columns=tuple(columns), edges=tuple(edges), bridges=_bridges(graph, of_node, sources))


def _column_sources(graph: ComponentGraph, of_node: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the columns whose output each node reads on the main path, through what is not drawn."""
    found: dict[str, tuple[str, ...]] = {}
    for name in graph.nodes:
        reached: dict[str, None] = {}
        for source in graph.inputs[name]:
            if graph.nodes[source].kind == "skip":
                continue
            reached.update(dict.fromkeys([of_node[source]] if source in of_node else found[source]))
        found[name] = tuple(reached)
    return found


def _bridges(
    graph: ComponentGraph, of_node: Mapping[str, str], sources: Mapping[str, tuple[str, ...]]
) -> tuple[Bridge, ...]:
    readers: dict[str, list[str]] = {}
    for source, target in graph.edges:
        readers.setdefault(source, []).append(target)
    together: dict[tuple[str, str], list[str]] = {}
    for skip in graph.of_kind("skip"):
        column = _first_column(skip, readers, of_node)
        if column is None or not sources[skip] or sources[skip][0] == column:
            continue
        together.setdefault((sources[skip][0], column), []).append(skip)
    return tuple(
        Bridge(name=names[0], members=tuple(names), source=source, target=target)
        for (source, target), names in together.items()
    )


def _first_column(name: str, readers: Mapping[str, list[str]], of_node: Mapping[str, str]) -> str | None:
    """Return the first column behind a node."""
    seen, waiting = {name}, [name]
    while waiting:
        for reader in readers.get(waiting.pop(0), ()):
            if reader in of_node:
                return of_node[reader]
            if reader not in seen:
                seen.add(reader)
                waiting.append(reader)
    return None
