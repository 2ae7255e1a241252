"""Which states of a run are stored, in which precision, and how many bytes they take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Num
from torch import Tensor

from compute.config.schema import Kept
from compute.sweep.worker.trajectory import Trajectory
from store.records import Role
from store.shard.payload import bfloat16_bits

_BASELINE = Kept(x_t="all", pred_x0="all", precision="float32")  # ablated runs start from these states


@dataclass(frozen=True, kw_only=True)
class StoredStates:
    """The states of a unit as its shard holds them; `None` and no steps where only the final picture is stored."""

    final: Float[np.ndarray, "B 3 h w"]
    x_t: Float[np.ndarray, "states B C H W"] | None
    x_t_steps: tuple[int, ...]
    pred_x0: Float[np.ndarray, "steps B C H W"] | None
    pred_x0_steps: tuple[int, ...]


def stored_states(
    trajectory: Trajectory, final: Float32[np.ndarray, "B 3 h w"], role: Role, kept: Kept
) -> StoredStates:
    """Return what is stored of a unit's trajectory and final pictures. Baselines are stored in full."""
    if role == "baseline":
        kept = _BASELINE
    dtype = "float32" if kept.precision == "float32" else "float16"
    pred_x0 = trajectory.pred_x0
    stored_final: Float[np.ndarray, "B 3 h w"] = final
    if kept.precision == "8-bit":
        stored_final, pred_x0 = round_to_8_bit(final).astype(dtype), round_to_8_bit(pred_x0)
    x_t_steps = _steps(len(trajectory.x_t), kept.x_t, trajectory.start)
    pred_x0_steps = _steps(len(pred_x0), kept.pred_x0, trajectory.start)
    return StoredStates(
        final=stored_final,
        x_t=_select(trajectory.x_t, x_t_steps, trajectory.start, dtype),
        x_t_steps=x_t_steps,
        pred_x0=_select(pred_x0, pred_x0_steps, trajectory.start, dtype),
        pred_x0_steps=pred_x0_steps,
    )


def stored_bytes(role: Role, kept: Kept, *, steps: int, values: int, output_values: int, picture_values: int) -> int:
    """Return an upper bound for the bytes that a unit of `steps` steps takes on disk.

    `values`, `output_values` and `picture_values` are the numbers in a state, a model output and the final pictures.
    """
    if role == "baseline":
        return ((2 * steps + 1) * values + steps * output_values + picture_values) * 4
    width = 4 if kept.precision == "float32" else 2  # 8-bit pictures are stored as float16
    every = [which for which in (kept.x_t, kept.pred_x0) if which != "final"]
    states = sum(steps if which == "all" else -(-steps // int(which)) for which in every)
    return (states * width + 4) * values + 4 * picture_values


def round_to_8_bit(pictures: Float32[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Round pictures in [-1, 1] to multiples of 1/128, which float16 holds exactly and which compress well."""
    return (pictures * 128).round() / np.float32(128)


def array_of(output: Tensor) -> Num[np.ndarray, "steps B K H W"]:
    """Return model outputs as a shard holds them: bfloat16 as its 16 bits, other types unchanged."""
    if output.dtype == torch.bfloat16:
        return bfloat16_bits(output.float().numpy())
    unchanged: Num[np.ndarray, "steps B K H W"] = output.numpy()
    return unchanged


def _steps(states: int, which: str | int, start: int) -> tuple[int, ...]:
    """Return the steps to store of `states` consecutive ones from `start` on."""
    if which == "final":
        return ()
    every = 1 if which == "all" else int(which)
    return tuple(step for step in range(start, start + states) if step % every == 0)


def _select(
    states: Float32[np.ndarray, "states B C H W"], steps: tuple[int, ...], start: int, dtype: str
) -> Float[np.ndarray, "steps B C H W"] | None:
    return states[[step - start for step in steps]].astype(dtype) if steps else None
