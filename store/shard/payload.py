"""What a worker hands over for one unit, and what it gets back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from store.errors import PayloadError
from store.metric import MetricValues
from store.records import Unit

Array = npt.NDArray[Any]
DistanceName = Literal["x_t_rel_l2", "x_t_cosine", "pred_x0_rel_l2", "pred_x0_cosine"]
DISTANCES: tuple[DistanceName, ...] = get_args(DistanceName)
LATENT_DTYPES = ("float32", "float16", "uint16")
PICTURE_DTYPES = ("float32", "float16")


def bfloat16_bits(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """float32 values, already rounded to bfloat16, as the 16 bits that are stored for them."""
    return (np.ascontiguousarray(values, dtype=np.float32).view(np.uint32) >> 16).astype(np.uint16)


def widen_bfloat16(bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """The exact float32 values of stored bfloat16 bits."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


@dataclass(frozen=True, kw_only=True)
class UnitPayload:
    """The result of one unit, as numpy arrays; B is the number of its conditions, N of its sampling steps.

    - `steps`: N. `start`: the first step that was really run.
    - `final`: (B, C, H, W) pictures, float32 or float16, in [-1, 1].
    - `x_t`: (S', B, C, H, W) the states kept, and `x_t_steps` their indices: state i is the input of step i, N is the
      final one. float32, float16, or uint16 for the bits of bfloat16.
    - `pred_x0`: likewise, with steps from `start` to N-1.
    - `distances`: (N - start, B) float32 to the baseline; row r belongs to step start + r: `pred_x0_*` compares what
      that step predicts, `x_t_*` the state that it leaves (state start + r + 1). Empty for a baseline.
    - `seconds`: wall time. `unet_evaluations`: forward passes of the network for the whole batch.
    - `provenance`: a JSON object (versions, git commit, device, dtype, weights digest).
    """

    steps: int
    final: Array
    x_t: Array | None = None
    x_t_steps: tuple[int, ...] = ()
    pred_x0: Array | None = None
    pred_x0_steps: tuple[int, ...] = ()
    distances: Mapping[DistanceName, Array] = field(default_factory=dict)
    metrics: tuple[MetricValues, ...] = ()
    seconds: float = 0.0
    unet_evaluations: int = 0
    provenance: Mapping[str, Any] = field(default_factory=dict)
    start: int = 0


def check_payload(unit: Unit, payload: UnitPayload) -> None:
    """Raise PayloadError, naming the element, unless the payload fits the unit and itself."""
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
    _require(unit.role != "baseline" or not payload.distances, "distances", "a baseline has none")
    for distance, rows in payload.distances.items():
        _require(distance in DISTANCES, "distances", f"{distance!r} is unknown; {', '.join(DISTANCES)} are accepted")
        _check_array(distance, rows, 2, ("float32",))
        _require(rows.shape == (steps - start, batch), distance, f"shape {rows.shape}, not {(steps - start, batch)}")
    check_metrics(payload.metrics, batch)


def check_metrics(metrics: tuple[MetricValues, ...], batch: int) -> None:
    """Raise PayloadError unless each metric has one value a condition and stands there once."""
    names = [metric.info.name for metric in metrics]
    _require(len(set(names)) == len(names), "metrics", f"a name stands twice in {', '.join(names)}")
    for metric in metrics:
        if metric.values is not None:
            got = len(metric.values)
            _require(got == batch, f"metric {metric.info.name}", f"{got} values for {batch} conditions")


def _check_trajectory(
    name: str, values: Array | None, kept: tuple[int, ...], batch: int, start: int, last: int
) -> None:
    if values is None:
        _require(not kept, f"{name}_steps", f"{kept} without {name}")
        return
    _check_array(name, values, 5, LATENT_DTYPES)
    _require(values.shape[:2] == (len(kept), batch), name, f"shape {values.shape} for {len(kept)} steps, batch {batch}")
    ordered = all(a < b for a, b in zip(kept, kept[1:], strict=False))
    fits = bool(kept) and ordered and kept[0] >= start and kept[-1] <= last
    _require(fits, f"{name}_steps", f"{kept}; one or more ascending steps from {start} to {last} are accepted")


def _check_array(name: str, values: Array, dimensions: int, dtypes: tuple[str, ...]) -> None:
    _require(isinstance(values, np.ndarray), name, f"{type(values).__name__}; a numpy array is accepted")
    _require(values.dtype.name in dtypes, name, f"type {values.dtype}; {', '.join(dtypes)} are accepted")
    _require(
        values.ndim == dimensions and values.size > 0, name, f"shape {values.shape}; {dimensions} axes are accepted"
    )
    numbers = widen_bfloat16(values) if values.dtype == np.uint16 else values
    _require(bool(np.isfinite(numbers).all()), name, "holds numbers that are not finite")


def _require(fits: bool, name: str, what: str) -> None:
    if not fits:
        raise PayloadError(f"{name}: {what}")
