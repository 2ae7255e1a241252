"""Small documents in a sweep's folder: policies, their pictures, reports."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from store.errors import StoreError
from store.folder.files import read_file, replace_file
from store.folder.layout import POLICIES, REPORTS, real_folder

DOCUMENT_LIMIT = 1 << 22  # bytes
DocumentFolder = Literal["policies", "reports"]
_FOLDERS: tuple[str, ...] = (POLICIES, REPORTS)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def document_path(root: Path, folder: DocumentFolder, name: str) -> Path:
    """The path of a document. Raises StoreError for a name that is not a plain file name."""
    if folder not in _FOLDERS or _NAME.fullmatch(name) is None:
        raise StoreError(
            f"{folder[:20]}/{name[:80]!r}: is not a document's name; letters, digits, '.', '_', '-' are accepted"
        )
    return real_folder(root, folder) / name


def document_names(root: Path, folder: DocumentFolder, suffix: str) -> list[str]:
    """Sorted names of the regular files in a document folder that end with `suffix`. Raises StoreError."""
    try:
        entries = list(os.scandir(real_folder(root, folder)))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{root / folder}: cannot be read: {error.strerror}") from error
    return sorted(
        entry.name
        for entry in entries
        if entry.name.endswith(suffix) and _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
    )


def read_document(root: Path, folder: DocumentFolder, name: str) -> bytes:
    """Read a document. Raises StoreError if it is missing, a link, or larger than DOCUMENT_LIMIT bytes."""
    path = document_path(root, folder, name)
    try:
        return read_file(path, DOCUMENT_LIMIT)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from error


def write_document(root: Path, folder: DocumentFolder, name: str, data: bytes) -> Path:
    """Write a document atomically and return its path. Raises StoreError, also above DOCUMENT_LIMIT, and StoreFull."""
    path = document_path(root, folder, name)
    if len(data) > DOCUMENT_LIMIT:
        raise StoreError(f"{path}: {len(data)} bytes are more than the {DOCUMENT_LIMIT} that are accepted here")
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path.parent}: cannot be made: {error.strerror}") from error
    replace_file(path, data)
    return path
