"""The kind of components, by their names, and their level, by the network's graph."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path

from compute.policy.graph_document import read_stored_graph
from store.actions import KINDS, Kind
from store.records import Components, components_text

SEVERAL = "several"
_NAMED = 2
_TRANSFORMER_PARTS: Mapping[str, Kind] = {
    "attn1": "self_attention",
    "attn2": "cross_attention",
    "ff": "feed_forward",
}
_LISTS: Mapping[str, Kind] = {"temp_convs": "resnet", "temp_attentions": "attention", "motion_modules": "attention"}


def kind_of(components: Components) -> str:
    """Return the kind that all the components share, by their names alone, or `several`."""
    kinds = {_kind_of_one(name) for name in components}
    return kinds.pop() if len(kinds) == 1 else SEVERAL


def _kind_of_one(name: str) -> str:
    if name in ("unet", "guidance"):
        return name
    if name.startswith("skip:"):
        return "skip"
    if (part := name.rsplit(".", 1)[-1]) in _TRANSFORMER_PARTS:
        return _TRANSFORMER_PARTS[part]
    part = name.split(".")[-2] if "." in name else name
    return _LISTS.get(part) or next((kind for kind in KINDS if part.startswith(kind)), part)


def group_name(components: Components) -> str:
    """Return a short name of components that are ablated together: `up_blocks.* (14 together)`.

    Up to two are named in full. The names' common beginning, or else the common kind, stands for more.
    """
    if len(components) <= _NAMED:
        return components_text(components)
    together = f"({len(components)} together)"
    columns = zip(*(name.split(".") for name in components), strict=False)
    shared = [column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns)]
    if shared:
        return f"{'.'.join(shared)}.* {together}"
    return f"{len(components)} components" if (kind := kind_of(components)) == SEVERAL else f"kind:{kind} {together}"


def level_of(components: Components, levels: Mapping[str, int]) -> int | None:
    """Return the level (0 is the full resolution) that all the components share; None where that is not known.

    The whole network and guidance have none.
    """
    shared = {None if name in ("unet", "guidance") else levels.get(name) for name in components}
    return shared.pop() if len(shared) == 1 else None


def component_levels(root: Path) -> dict[str, int]:
    """Return the level of each component, by the graph in a store; empty where it has none.

    Raises StoreError for one that cannot be read.
    """
    graph = read_stored_graph(root)
    return {} if graph is None else {component.name: component.level for component in graph.components}
