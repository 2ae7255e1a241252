"""Pictures, trajectories and distances of single units: read from their shards, cached on the shard's own stamp.

Every function raises ShardMissing or ShardDamaged, naming the file, where a shard is gone or cannot be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import streamlit as st

from dashboard.data.sweep import Sweep
from store.shard.payload import DistanceName
from store.sweep_store import SweepStore

Array = npt.NDArray[np.float32]
Followed = Literal["pred_x0", "x_t"]
_FINALS = 256
_TRAJECTORIES = 64


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """What was kept of one picture's way: `states` (S, C, H, W) at `steps` (empty if nothing was), run from `start`."""

    steps: tuple[int, ...]
    states: Array
    start: int


def finals(sweep: Sweep, key: str) -> Array:
    """A unit's final pictures, (B, C, H, W) in [-1, 1]."""
    return _finals(sweep.store, str(sweep.path), key, _stamp(sweep, key))


def trajectory(sweep: Sweep, key: str, index: int, followed: Followed) -> Trajectory:
    """One picture's states or predictions, as far as they were kept."""
    return _trajectory(sweep.store, str(sweep.path), key, index, followed, _stamp(sweep, key))


def distances(sweep: Sweep, key: str, index: int) -> tuple[int, dict[DistanceName, Array]]:
    """The first step that was run, and for each distance one number a step from there on; none for a baseline."""
    return _distances(sweep.store, str(sweep.path), key, index, _stamp(sweep, key))


def _stamp(sweep: Sweep, key: str) -> tuple[int, int]:
    found = sweep.store.shard_path(key).stat()
    return found.st_mtime_ns, found.st_size


@st.cache_resource(max_entries=_FINALS, show_spinner=False)
def _finals(_store: SweepStore, root: str, key: str, stamp: tuple[int, int]) -> Array:
    with _store.read(key) as reader:
        return reader.final.astype(np.float32)


@st.cache_resource(max_entries=_TRAJECTORIES, show_spinner=False)
def _trajectory(
    _store: SweepStore, root: str, key: str, index: int, followed: Followed, stamp: tuple[int, int]
) -> Trajectory:
    with _store.read(key) as reader:
        sample = reader.sample(index)
        start = reader.start
    states: Any = sample.x_t if followed == "x_t" else sample.pred_x0
    steps = sample.x_t_steps if followed == "x_t" else sample.pred_x0_steps
    if states is None:
        return Trajectory(steps=(), states=np.zeros((0, 1, 1, 1), np.float32), start=start)
    return Trajectory(steps=steps, states=states.astype(np.float32), start=start)


@st.cache_resource(max_entries=_TRAJECTORIES, show_spinner=False)
def _distances(
    _store: SweepStore, root: str, key: str, index: int, stamp: tuple[int, int]
) -> tuple[int, dict[DistanceName, Array]]:
    with _store.read(key) as reader:
        return reader.start, {name: rows[:, index] for name, rows in reader.distances.items()}
