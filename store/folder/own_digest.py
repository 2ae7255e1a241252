"""JSON documents that carry a digest of their own content: the field `sha256`, of the canonical JSON of the others."""

from __future__ import annotations

from typing import Any

from store.records import content_key

FIELD = "sha256"


def with_digest(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document with its digest as the last field."""
    return {**document, FIELD: content_key(document)}


def without_digest(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document without its digest. Raises ValueError where the digest is of another content.

    A document without a digest, written by hand or by an earlier release, is returned as it is.
    """
    name = FIELD if FIELD in document else _renamed(document)
    content = {key: value for key, value in document.items() if key != name}
    if name is not None and (name, document[name]) != (FIELD, content_key(content)):
        raise ValueError(
            f"{FIELD}: the content is not what was written with this digest: the file is damaged, or was changed by "
            f"hand; take it from a copy, or remove the field {FIELD} to accept it as it is"
        )
    return content


def _renamed(document: dict[str, Any]) -> str | None:
    """Return the name of a field that holds the digest of the others: damage may have changed its name."""
    name = next(reversed(document), None)
    if name is None or not isinstance(document[name], str) or len(document[name]) != 64:
        return None
    return name if document[name] == content_key({k: v for k, v in document.items() if k != name}) else None
