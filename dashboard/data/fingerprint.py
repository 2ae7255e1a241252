"""A fingerprint of a store's folder: what was read from the store is cached until the fingerprint changes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import streamlit as st

from store.driver.driver_state import driver_state
from store.errors import StoreError
from store.folder.layout import BASELINES, CATALOGUE, FAILURES, HEADER, POLICIES, REPORTS, UNITS

Fingerprint = tuple[int, ...]
_SETTLED_SECONDS = 5.0


def read_fingerprint(root: Path) -> Fingerprint:
    """Return the modification times (ns) and sizes of a store's main files and folders, -1 for what is missing.

    Reading it is cheap: it opens no file. Raises nothing.
    """
    parts: list[int] = []
    for name in (HEADER, CATALOGUE, BASELINES, UNITS, FAILURES, POLICIES, REPORTS):
        try:
            status = os.stat(root / name)
        except OSError:
            parts += [-1, -1]
        else:
            parts += [status.st_mtime_ns, status.st_size]
    return tuple(parts)


def settled_fingerprint(root: Path) -> Fingerprint:
    """Return the fingerprint of a store; while its sweep runs, one that changes every few seconds at most.

    A running sweep changes its store all the time, and each change would discard everything that is cached.
    """
    fingerprint, now, latest = read_fingerprint(root), time.monotonic(), _latest().get(str(root))
    if latest is not None:
        read_at, previous = latest
        if previous == fingerprint:
            return fingerprint
        if now - read_at < _SETTLED_SECONDS and driver_state(root).state == "running":
            return previous
    _latest()[str(root)] = (now, fingerprint)
    return fingerprint


def store_state(root: Path) -> tuple[Fingerprint, str]:
    """Return what a page's content depends on: the settled fingerprint, and whether the sweep runs. Raises nothing."""
    try:
        return settled_fingerprint(root), driver_state(root).state
    except (StoreError, OSError):
        return read_fingerprint(root), ""


@st.cache_resource
def _latest() -> dict[str, tuple[float, Fingerprint]]:
    """The fingerprint returned last for each store, with the time (`time.monotonic`) when it was read."""
    return {}
