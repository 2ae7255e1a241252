"""Where numbers come from: versions, commit, host. Kept beside every unit, part of no key."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("skipscope", "torch", "diffusers", "numpy", "h5py", "piq", "lpips")


@cache
def provenance() -> dict[str, str]:
    """Versions of what computes, the git commit of this program where it is a checkout, host and processor."""
    facts = {"python": platform.python_version(), "host": socket.gethostname(), "machine": platform.machine()}
    for name in _PACKAGES:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            continue
    facts["cores"] = str(os.cpu_count())
    facts["commit"] = _commit()
    return facts


def _commit() -> str:
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip()
