"""File and folder names inside a sweep, and the check that a key is valid before it becomes part of a path."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from store.errors import StoreError
from store.records import Role

FORMAT = "skipscope-sweep"
VERSION = 2
"""The format that is written. Sweeps of format 1, whose baselines lack the model's output, are only read."""

HEADER = "sweep.json"
MANIFEST = "manifest"
CATALOGUE = "catalogue"
DRIVER = "driver.json"
DRIVER_LOCK = "driver.lock"
ACQUISITION_LOCK = "driver.claim"
BASELINES = "baselines"
UNITS = "units"
FAILURES = "failures"
POLICIES = "policies"
REPORTS = "reports"
TOKENS = "tokens"
FOLDERS = (BASELINES, UNITS, FAILURES, POLICIES, REPORTS, TOKENS)
SHARD_FOLDERS = (BASELINES, UNITS)
FILES = (HEADER, MANIFEST, CATALOGUE, DRIVER, DRIVER_LOCK, ACQUISITION_LOCK)

_KEY = re.compile(r"[0-9a-f]{64}")
_TEMPORARY = re.compile(r".+\.[0-9]+\.[0-9a-f]{12}\.tmp")
_SHARD = re.compile(r"([0-9a-f]{64})\.h5")


def is_key(text: str) -> bool:
    """Whether `text` has the form of a unit key: 64 lower-case hexadecimal digits."""
    return _KEY.fullmatch(text) is not None


def checked_key(key: str) -> str:
    """Return `key`. Raises StoreError unless it has the form of a unit key: nothing else may become part of a path."""
    if not is_key(key):
        raise StoreError(f"key: {key[:80]!r} is not a unit key; 64 lower-case hexadecimal digits are accepted")
    return key


def temporary_name(name: str) -> str:
    """A unique name in the same folder, for a file that is being written."""
    return f"{name}.{os.getpid()}.{secrets.token_hex(6)}.tmp"


def is_temporary(name: str) -> bool:
    """Whether a file name was made by `temporary_name`."""
    return _TEMPORARY.fullmatch(name) is not None


def shard_folder(role: Role) -> str:
    """The folder for shards of a role: baselines have their own."""
    return BASELINES if role == "baseline" else UNITS


def shard_name(role: Role, key: str) -> str:
    """A shard's path relative to the store, with forward slashes."""
    return f"{shard_folder(role)}/{checked_key(key)}.h5"


def shard_key(name: str) -> str | None:
    """The key in a shard's file name; None if the name is not a shard's."""
    match = _SHARD.fullmatch(name)
    return match.group(1) if match else None


def real_folder(root: Path, name: str) -> Path:
    """The path of one of the store's folders. Raises StoreError if it is a symbolic link."""
    folder = root / name
    if folder.is_symlink():
        raise StoreError(f"{folder}: is a symbolic link; a store's folders must be real, to keep writing inside it")
    return folder


def shards(root: Path, folder: str) -> Iterator[tuple[str, Path]]:
    """(key, path) of every shard in a shard folder. Links and temporary files are left out."""
    parent = real_folder(root, folder)
    try:
        entries = os.scandir(parent)
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            key = shard_key(entry.name)
            if key is not None and entry.is_file(follow_symlinks=False):
                yield key, parent / entry.name
