"""Pictures, trajectories and distances of single units, read from their shards.

They are cached on the shard file's time and size. Every function raises DamagedShard, ShardMissing or OSError.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import streamlit as st
from jaxtyping import Float32, UInt8

from compute.analysis.latent_colors import LatentColors, fit_latent_colors
from dashboard.data.checked_units import FileStamp, file_stamp, open_checked
from dashboard.data.sweep import Sweep
from store.shard.payload import DistanceName
from store.sweep_store import SweepStore

StateName = Literal["pred_x0", "x_t"]
_MAX_FINALS = 256
_MAX_TRAJECTORIES = 64
_MAX_SWEEPS = 8
_FITTED_BASELINES = 4
_COLORS = 3


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """The states that a unit kept of one condition, `states[i]` at `steps[i]`; empty if it kept none.

    Latents are shown through a linear map to colours.

    The unit's run began at step `start`, from the baseline's state.
    """

    steps: tuple[int, ...]
    states: Float32[np.ndarray, "S C H W"]
    start: int


def final_pictures(sweep: Sweep, key: str) -> Float32[np.ndarray, "B C H W"]:
    """Return a unit's final pictures, in [-1, 1], one a condition of its batch."""
    return _final_pictures(sweep.store, str(sweep.path), key, _file_stamp(sweep, key))


def stage_inputs(sweep: Sweep, key: str) -> UInt8[np.ndarray, "B h w 3"] | None:
    """Return the pictures of the stage before that a baseline of a cascade was given, one a condition, or None."""
    return _stage_inputs(sweep.store, str(sweep.path), key, _file_stamp(sweep, key))


def trajectory(sweep: Sweep, key: str, index: int, state: StateName) -> Trajectory:
    """Return the trajectory of the condition at position `index` of a unit's batch."""
    return _trajectory(sweep.store, str(sweep.path), key, index, state, _file_stamp(sweep, key))


def step_distances(sweep: Sweep, key: str, index: int) -> tuple[int, dict[DistanceName, Float32[np.ndarray, "S"]]]:
    """Return the step at which a unit's run began, and its distances to the baseline at each step from there on.

    A baseline has no distances.
    """
    return _step_distances(sweep.store, str(sweep.path), key, index, _file_stamp(sweep, key))


def _file_stamp(sweep: Sweep, key: str) -> FileStamp:
    return file_stamp(sweep.store.shard_path(key))


@st.cache_resource(max_entries=_MAX_FINALS, show_spinner=False)
def _final_pictures(_store: SweepStore, root: str, key: str, stamp: FileStamp) -> Float32[np.ndarray, "B C H W"]:
    with open_checked(_store, key) as reader:
        return reader.final.astype(np.float32)


@st.cache_resource(max_entries=_MAX_FINALS, show_spinner=False)
def _stage_inputs(_store: SweepStore, root: str, key: str, stamp: FileStamp) -> UInt8[np.ndarray, "B h w 3"] | None:
    with open_checked(_store, key) as reader:
        return reader.inputs


@st.cache_resource(max_entries=_MAX_TRAJECTORIES, show_spinner=False)
def _trajectory(_store: SweepStore, root: str, key: str, index: int, state: StateName, stamp: FileStamp) -> Trajectory:
    with open_checked(_store, key) as reader:
        sample = reader.sample(index)
        start = reader.start
    states: Any = sample.x_t if state == "x_t" else sample.pred_x0
    steps = sample.x_t_steps if state == "x_t" else sample.pred_x0_steps
    if states is None:
        return Trajectory(steps=(), states=np.zeros((0, 1, 1, 1), np.float32), start=start)
    pictures = states.astype(np.float32)
    if pictures.shape[1] != _COLORS:
        pictures = _latent_colors(_store, root).pictures(pictures)
    return Trajectory(steps=steps, states=pictures, start=start)


@st.cache_resource(max_entries=_MAX_SWEEPS, show_spinner=False)
def _latent_colors(_store: SweepStore, root: str) -> LatentColors:
    """Return the map from latents to colours, fitted to the first baselines of a sweep."""
    latents, pictures = [], []
    present = _store.present()
    for unit in _store.header.plan:
        if unit.role == "baseline" and unit.key in present:
            with open_checked(_store, unit.key) as reader:
                latents.append(reader.x_t(reader.steps))
                pictures.append(reader.final)
        if len(latents) == _FITTED_BASELINES:
            break
    return fit_latent_colors(np.concatenate(latents), np.concatenate(pictures))


@st.cache_resource(max_entries=_MAX_TRAJECTORIES, show_spinner=False)
def _step_distances(
    _store: SweepStore, root: str, key: str, index: int, stamp: FileStamp
) -> tuple[int, dict[DistanceName, Float32[np.ndarray, "S"]]]:
    with open_checked(_store, key) as reader:
        return reader.start, {name: rows[:, index] for name, rows in reader.distances.items()}
