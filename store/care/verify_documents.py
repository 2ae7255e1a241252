"""What is wrong with the policies, their pictures and the reports of a store."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from store.errors import StoreError
from store.folder.documents import DocumentFolder, document_names, read_document
from store.folder.files import parse_json
from store.folder.own_digest import without_digest

_PNG = b"\x89PNG\r\n\x1a\n"


def document_problems(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the path, relative to the store, and the problem of each damaged JSON document and PNG picture.

    A JSON document is compared with its own digest, a picture with the checksums in it. Other files are the user's.
    """
    for folder in get_args(DocumentFolder):
        for suffix, problem_of in ((".json", _json_problem), (".png", _png_problem)):
            for name in document_names(root, folder, suffix):
                try:
                    problem = problem_of(read_document(root, folder, name))
                except StoreError as error:
                    problem = str(error)
                if problem is not None:
                    yield f"{folder}/{name}", problem


def _json_problem(data: bytes) -> str | None:
    document = parse_json(data, "it")
    try:
        without_digest(document if isinstance(document, dict) else {})
    except ValueError as error:
        return str(error)
    return None


def _png_problem(data: bytes) -> str | None:
    """Return what is wrong with a PNG file: each of its chunks ends with the CRC of its name and content."""
    if not data.startswith(_PNG):
        return "is no PNG picture"
    position, name = len(_PNG), b""
    while name != b"IEND":
        size = int.from_bytes(data[position : position + 4], "big")
        chunk, crc = data[position + 4 : position + 8 + size], data[position + 8 + size : position + 12 + size]
        if len(crc) < 4 or zlib.crc32(chunk).to_bytes(4, "big") != crc:
            return "is a damaged picture: it does not match its own checksums; validate the policy again"
        name, position = chunk[:4], position + 12 + size
    return None if position == len(data) else "is a picture with something behind its end"
