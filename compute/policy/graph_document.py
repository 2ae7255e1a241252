"""The component graph in a store's reports, readable without the model."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from compute.policy.graph import ComponentGraph
from store.errors import StoreError
from store.folder.documents import document_names, read_document, write_document
from store.folder.own_digest import with_digest

GRAPH_DOCUMENT = "graph.json"


def has_graph(root: Path) -> bool:
    """Return whether the store at `root` holds a graph."""
    return GRAPH_DOCUMENT in document_names(root, "reports", GRAPH_DOCUMENT)


def read_stored_graph(root: Path) -> ComponentGraph | None:
    """Return the component graph of a store, or None if it has none. Raises StoreError for a damaged file."""
    if not has_graph(root):
        return None
    try:
        return ComponentGraph.from_json(read_document(root, "reports", GRAPH_DOCUMENT))
    except ValueError as error:  # pydantic's ValidationError, too
        details = error.errors(include_url=False, include_input=False) if isinstance(error, ValidationError) else []
        problem = details[0]["msg"] if details else str(error)
        raise StoreError(
            f"reports/{GRAPH_DOCUMENT}: is no component graph: {problem}; remove it and run the sweep again, which "
            "writes it"
        ) from error


def write_graph(root: Path, graph: ComponentGraph) -> None:
    """Write the component graph into a store. Raises StoreError, StoreFull."""
    write_document(root, "reports", GRAPH_DOCUMENT, json.dumps(with_digest(json.loads(graph.to_json()))).encode())
