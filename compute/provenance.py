"""Where numbers come from: versions, commit, host. Stored beside every unit, part of no key."""

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
    """Return the versions of Python and of the installed packages, host, machine, cores and this checkout's commit.

    The commit is "unknown" outside of a git checkout.
    """
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
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
