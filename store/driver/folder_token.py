"""Token files, by which a worker proves that it sees the driver's folder and not another one at the same path."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from store.errors import StoreError
from store.folder.files import read_file, replace_file
from store.folder.layout import TOKENS, checked_key, real_folder


def new_token(root: Path) -> str:
    """Write a new token file, remove earlier ones, and return the token: 64 random hexadecimal digits."""
    token = secrets.token_hex(32)
    folder = real_folder(root, TOKENS)
    folder.mkdir(exist_ok=True)
    for name in os.listdir(folder):
        if not (folder / name).is_dir():
            (folder / name).unlink(missing_ok=True)
    replace_file(folder / token, token.encode("ascii"))
    return token


def sees_token(root: Path, token: str) -> bool:
    """Whether the store at `root`, as this process sees it, has the token file."""
    try:
        return read_file(real_folder(root, TOKENS) / checked_key(token), 100) == token.encode("ascii")
    except (FileNotFoundError, StoreError):
        return False
