"""The SHA-256 of large files, remembered by their size and time of change: a model of 5 GB is hashed once."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from compute.user_cache import user_cache
from store.errors import StoreError
from store.folder.files import replace_file

_REMEMBERED_FROM = 64 << 20  # bytes; smaller files are hashed each time


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    status = path.stat()
    if status.st_size < _REMEMBERED_FROM:
        return _hash(path)
    entry = hashlib.sha256(str(path.resolve()).encode()).hexdigest()
    stamp = f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"
    remembered = _read(entry)
    if remembered.get("stamp") == stamp:
        return remembered["digest"]
    digest = _hash(path)
    with contextlib.suppress(OSError, StoreError):  # without a cache the file is hashed again next time
        _folder().mkdir(parents=True, exist_ok=True)
        replace_file(_folder() / f"{entry}.json", json.dumps({"stamp": stamp, "digest": digest}).encode())
    return digest


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder() -> Path:
    """Return the folder of remembered digests, in the user's cache."""
    return user_cache() / "digests"


def _read(entry: str) -> dict[str, str]:
    """Return what is remembered of a file; nothing where the entry is missing or damaged."""
    try:
        value = json.loads((_folder() / f"{entry}.json").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return {}
    is_entry = isinstance(value, dict) and all(isinstance(value.get(key), str) for key in ("stamp", "digest"))
    return value if is_entry else {}
