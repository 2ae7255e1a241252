"""The folder in which what can be had again is kept between runs: digests of files, downloads."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache() -> Path:
    """Return the folder: that of SKIPSCOPE_CACHE, or `skipscope` in the user's cache (XDG_CACHE_HOME, ~/.cache)."""
    if own := os.environ.get("SKIPSCOPE_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "skipscope"
