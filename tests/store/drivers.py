"""Processes that drive a store."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.connection import Connection
from pathlib import Path

from store.sweep_store import SweepStore

FORK = multiprocessing.get_context("fork")


def drive_until_message(path: Path, pipe: Connection) -> None:
    with SweepStore.open(path).drive("the first"):
        pipe.send(os.getpid())
        pipe.recv()


def start_driver(store: SweepStore) -> tuple[multiprocessing.process.BaseProcess, Connection]:
    """A process that drives the store, and a pipe; it stops after a message through the pipe."""
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=drive_until_message, args=(store.root, theirs))
    process.start()
    assert ours.recv() == process.pid
    return process, ours
