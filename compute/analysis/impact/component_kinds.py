"""What a component's name alone says, and its level, which only the network's graph knows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from compute.policy.graph import ComponentGraph
from store.errors import StoreError
from store.folder.documents import document_names, read_document
from store.records import KINDS

GRAPH = "graph.json"
SEVERAL = "several"
_JOINED = " + "


def kind_of(component: str) -> str:
    """A component's kind, by its name alone; of components joined by " + " the one that all share, else `several`."""
    kinds = {_kind_of_one(name) for name in component.split(_JOINED)}
    return kinds.pop() if len(kinds) == 1 else SEVERAL


def _kind_of_one(name: str) -> str:
    if name == "unet":
        return "unet"
    if name.startswith("skip:"):
        return "skip"
    part = name.split(".")[-2] if "." in name else name
    return next((kind for kind in KINDS if part.startswith(kind)), part)


def level_of(component: str, levels: Mapping[str, int]) -> int | None:
    """The level (0 is the full resolution) that all the joined components share; None where that is not known.

    The whole network has none.
    """
    found = {None if name == "unet" else levels.get(name) for name in component.split(_JOINED)}
    return found.pop() if len(found) == 1 else None


def component_levels(root: Path) -> dict[str, int]:
    """The level of each component by the graph among a store's reports; empty where there is none.

    Raises StoreError for one that cannot be read.
    """
    if GRAPH not in document_names(root, "reports", GRAPH):
        return {}
    try:
        graph = ComponentGraph.from_json(read_document(root, "reports", GRAPH))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise StoreError(
            f"reports/{GRAPH}: is no component graph: {problem}; remove it, the sweep writes it"
        ) from error
    return {component.name: component.level for component in graph.components}
