"""The modes of files that safetensors writes: it makes them readable by their owner alone, whatever the umask says."""

from __future__ import annotations

import os
from pathlib import Path


def apply_umask(path: Path) -> None:
    """Give a safetensors file, or those below a folder, the mode that the umask asks for."""
    umask = os.umask(0o077)  # it can be read only by setting it; files that another thread makes meanwhile stay private
    os.umask(umask)
    for file in [path] if path.is_file() else path.rglob("*.safetensors"):
        file.chmod(0o666 & ~umask)
