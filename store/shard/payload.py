"""The result of one unit as a worker passes it to the store, and its checks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from jaxtyping import Float32, UInt16

from store.errors import PayloadError
from store.metric import MetricValues
from store.records import Unit
from store.shard.chunks import PICTURE_LIMIT, READ_LIMIT

Array = npt.NDArray[Any]
DistanceName = Literal["x_t_rel_l2", "x_t_cosine", "pred_x0_rel_l2", "pred_x0_cosine"]
DISTANCES: tuple[DistanceName, ...] = get_args(DistanceName)
LATENT_DTYPES = ("float32", "float16", "uint16")
PICTURE_DTYPES = ("float32", "float16")
INPUT_DTYPES = ("uint8",)


def bfloat16_bits(values: Float32[np.ndarray, "*shape"]) -> UInt16[np.ndarray, "*shape"]:
    """The 16 bits of bfloat16 numbers that are given as float32; further bits are dropped."""
    return (np.ascontiguousarray(values, dtype=np.float32).view(np.uint32) >> 16).astype(np.uint16)


def widen_bfloat16(bits: UInt16[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """bfloat16 numbers, given as their 16 bits, as float32; exact."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


@dataclass(frozen=True, kw_only=True)
class UnitPayload:
    """The result of one unit with B conditions and N sampling steps. `check_payload` checks the arrays.

    - `steps`: N. `start`: the first step that was computed; the states before it are the baseline's.
    - `final`: (B, C, H, W) pictures in [-1, 1], float32 or float16.
    - `x_t`: (S, B, C, H, W) the stored states, float32, float16, or uint16 for the bits of bfloat16. `x_t_steps`: their
      S indices, ascending, from `start` to N. State i is the input of step i, and state N is the final one.
    - `pred_x0`, `pred_x0_steps`: likewise the predictions of the clean picture, from `start` to N-1.
    - `output`: (N, B, K, H, W) of a baseline, what each step's scheduler was given, in the types of `x_t`; a run that
      starts in the middle replays it. K is C, or 2 C where the model learns the variance.
    - `inputs`: (B, h, w, 3) uint8 of a baseline in a cascade, the pictures of the stage before, which it was given.
    - `distances`: (N - start, B) float32 to the baseline, empty for a baseline. Row r belongs to step start + r:
      `pred_x0_*` compares the step's prediction, `x_t_*` the state after it (state start + r + 1).
    - `seconds`: wall time. `unet_evaluations`: forward passes of the network for the whole batch.
    - `provenance`: a JSON object (versions, git commit, device, dtype, weights digest).
    """

    steps: int
    final: Array
    x_t: Array | None = None
    x_t_steps: tuple[int, ...] = ()
    pred_x0: Array | None = None
    pred_x0_steps: tuple[int, ...] = ()
    output: Array | None = None
    inputs: Array | None = None
    distances: Mapping[DistanceName, Array] = field(default_factory=dict)
    metrics: tuple[MetricValues, ...] = ()
    seconds: float = 0.0
    unet_evaluations: int = 0
    provenance: Mapping[str, Any] = field(default_factory=dict)
    start: int = 0


def check_payload(unit: Unit, payload: UnitPayload) -> None:
    """Raise PayloadError, which names the element, unless the payload is consistent and fits the unit."""
    steps, start, batch = payload.steps, payload.start, len(unit.conditions)
    _require(batch > 0, "conditions", "a unit has at least one")
    _require(steps >= 1 and 0 <= start < steps, "start", f"{start} of {steps} steps; 0 to steps - 1 is accepted")
    _require(0 <= payload.seconds < float("inf"), "seconds", f"{payload.seconds}; a finite number is accepted")
    _require(payload.unet_evaluations >= 0, "unet_evaluations", "is negative")
    _check_array("final", payload.final, 4, PICTURE_DTYPES)
    shape = payload.final.shape
    _require(shape[0] == batch, "final", f"shape {shape} for {batch} conditions")
    for name, values, kept, last in (
        ("x_t", payload.x_t, payload.x_t_steps, steps),
        ("pred_x0", payload.pred_x0, payload.pred_x0_steps, steps - 1),
    ):
        _check_trajectory(name, values, kept, batch, start, last)
    if payload.output is not None:
        _require(unit.role == "baseline", "output", "only a baseline has one")
        _check_trajectory("output", payload.output, tuple(range(steps)), batch, 0, steps - 1)
    if payload.inputs is not None:
        _require(unit.role == "baseline", "inputs", "only a baseline has them")
        _check_array("inputs", payload.inputs, 4, INPUT_DTYPES)
        accepted = payload.inputs.shape[::3] == (batch, 3)
        _require(accepted, "inputs", f"shape {payload.inputs.shape}; ({batch}, h, w, 3) is accepted")
    _require(unit.role != "baseline" or not payload.distances, "distances", "a baseline has none")
    for distance, rows in payload.distances.items():
        _require(distance in DISTANCES, "distances", f"{distance!r} is unknown; {', '.join(DISTANCES)} are accepted")
        _check_array(distance, rows, 2, ("float32",))
        _require(rows.shape == (steps - start, batch), distance, f"shape {rows.shape}, not {(steps - start, batch)}")
    check_metrics(payload.metrics, batch)


def check_metrics(metrics: tuple[MetricValues, ...], batch: int) -> None:
    """Raise PayloadError unless the metrics' names are unique and each has one value for each of `batch` conditions."""
    names = [metric.info.name for metric in metrics]
    _require(len(set(names)) == len(names), "metrics", f"a name is repeated in {', '.join(names)}")
    for metric in metrics:
        if metric.values is not None:
            count = len(metric.values)
            _require(count == batch, f"metric {metric.info.name}", f"{count} values for {batch} conditions")


def _check_trajectory(
    name: str, values: Array | None, kept: tuple[int, ...], batch: int, start: int, last: int
) -> None:
    if values is None:
        _require(not kept, f"{name}_steps", f"{kept} without {name}")
        return
    _check_array(name, values, 5, LATENT_DTYPES)
    _require(values.shape[:2] == (len(kept), batch), name, f"shape {values.shape} for {len(kept)} steps, batch {batch}")
    ordered = all(a < b for a, b in zip(kept, kept[1:], strict=False))
    valid = bool(kept) and ordered and kept[0] >= start and kept[-1] <= last
    _require(valid, f"{name}_steps", f"{kept}; one or more ascending steps from {start} to {last} are accepted")


def _check_array(name: str, values: Array, dimensions: int, dtypes: tuple[str, ...]) -> None:
    _require(isinstance(values, np.ndarray), name, f"{type(values).__name__}; a numpy array is accepted")
    _require(values.dtype.name in dtypes, name, f"type {values.dtype}; {', '.join(dtypes)} are accepted")
    _require(
        values.ndim == dimensions and values.size > 0, name, f"shape {values.shape}; {dimensions} axes are accepted"
    )
    picture = values.nbytes // math.prod(values.shape[:-3])
    _require(
        picture <= PICTURE_LIMIT and values.nbytes <= READ_LIMIT,
        name,
        f"shape {values.shape}: at most {PICTURE_LIMIT} bytes a picture and {READ_LIMIT} in all are accepted",
    )
    numbers = widen_bfloat16(values) if values.dtype == np.uint16 else values
    _require(bool(np.isfinite(numbers).all()), name, "holds numbers that are not finite")


def _require(valid: bool, name: str, problem: str) -> None:
    if not valid:
        raise PayloadError(f"{name}: {problem}")
