"""The proof that a worker writes into the same folder as its driver, and not into one of the same name elsewhere."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from store.errors import StoreError
from store.folder.files import read_file, replace_file
from store.folder.layout import TOKENS, checked_key, real_folder


def new_token(root: Path) -> str:
    """Leave a fresh file in the store, in place of an earlier one, and return its name: 64 random hex digits."""
    token = secrets.token_hex(32)
    folder = real_folder(root, TOKENS)
    folder.mkdir(exist_ok=True)
    for name in os.listdir(folder):
        if not (folder / name).is_dir():
            (folder / name).unlink(missing_ok=True)
    replace_file(folder / token, token.encode("ascii"))
    return token


def sees_token(root: Path, token: str) -> bool:
    """Whether `root`, as this process sees it, holds the token."""
    try:
        return read_file(real_folder(root, TOKENS) / checked_key(token), 100) == token.encode("ascii")
    except (FileNotFoundError, StoreError):
        return False
