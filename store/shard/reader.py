"""Reading one shard: latents and pictures are read when they are asked for, by step or by sample."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float, Float32, UInt8
from pydantic import ValidationError

from store.errors import PayloadError, StoreError
from store.metric import MetricInfo, MetricValues
from store.records import STEP_LIMIT, Unit
from store.shard.chunks import check_total, read_values
from store.shard.elements import Element, translate_hdf5_errors
from store.shard.encoding import ENCODING, ENCODING_VERSION
from store.shard.payload import (
    DISTANCES,
    INPUT_DTYPES,
    LATENT_DTYPES,
    PICTURE_DTYPES,
    Array,
    DistanceName,
    UnitPayload,
    widen_bfloat16,
)


@dataclass(frozen=True, kw_only=True)
class SampleSlice:
    """One sample of the batch: its stored states and predictions, None if none are stored, and its final picture."""

    index: int
    x_t: Float[np.ndarray, "states C H W"] | None
    x_t_steps: tuple[int, ...]
    pred_x0: Float[np.ndarray, "predictions C H W"] | None
    pred_x0_steps: tuple[int, ...]
    final: Float[np.ndarray, "C H W"]


class UnitReader:
    """A shard that is open for reading; a context manager. Errors name the file `source`.

    Attributes: `unit`; `steps`, N; `start`, the first step that was computed; `seconds`; `unet_evaluations`;
    `settings_digest`; `x_t_steps` and `pred_x0_steps`, the indices of the stored states and predictions (empty if none
    are stored). Arrays of bfloat16 are returned as float32. Every method raises ShardDamaged, which names the element,
    for anything that does not follow the format.
    """

    def __init__(self, file: h5py.File, source: str) -> None:
        self._file = file
        self._root = Element(file, source)
        self._source = source
        self._root.check_encoding("/", ENCODING, ENCODING_VERSION)
        self.unit = self._unit()
        self.steps: int = self._root.attribute("steps", int)
        self.start: int = self._root.attribute("start", int)
        self.seconds: float = self._root.attribute("seconds", float)
        self.unet_evaluations: int = self._root.attribute("unet_evaluations", int)
        self.settings_digest: str = self._root.attribute("settings", str)
        if not 0 <= self.start < self.steps <= STEP_LIMIT:
            raise self._root.error("start", f"{self.start} of {self.steps} steps")
        self._batch = len(self.unit.conditions)
        self._final = self._root.array("final", "pictures", PICTURE_DTYPES, (self._batch, None, None, None))
        self._x_t, self.x_t_steps = self._trajectory("x_t", self.steps)
        self._pred_x0, self.pred_x0_steps = self._trajectory("pred_x0", self.steps - 1)
        self._output, output_steps = self._trajectory("output", self.steps - 1)
        self._inputs = None
        if "inputs" in self._root:
            self._inputs = self._root.array("inputs", "pictures", INPUT_DTYPES, (self._batch, None, None, 3))
        if self._output is not None and output_steps != tuple(range(self.steps)):
            raise self._root.error("output", f"{len(output_steps)} of {self.steps} steps")
        arrays = [array for array in (self._final, self._x_t, self._pred_x0, self._output) if array is not None]
        check_total(arrays, file.id.get_filesize(), source)

    def __enter__(self) -> UnitReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def check_key(self, key: str) -> None:
        """Raise ShardDamaged unless this is the shard of that unit."""
        if self.unit.key != key:
            raise self._root.error("unit", f"is {self.unit.key}, not {key} as the file's name says")

    def _unit(self) -> Unit:
        try:
            unit = Unit.model_validate(self._root.json("unit"))
        except ValidationError as error:
            raise self._root.error("unit", f"is not a unit: {error.errors()[0]['msg']}") from error
        key, role = self._root.attribute("key", str), self._root.attribute("role", str)
        if (key, role) != (unit.key, unit.role):
            raise self._root.error("unit", f"is {unit.role} {unit.key}, but the file says {role[:16]} {key[:64]}")
        return unit

    def _trajectory(self, name: str, last: int) -> tuple[h5py.Dataset | None, tuple[int, ...]]:
        if name not in self._root:
            return None, ()
        group = self._root.group(name, "trajectory")
        values = group.array("values", "latents", LATENT_DTYPES, (None, self._batch, None, None, None))
        kept = group.array("steps", "array", ("int64",), (values.shape[0],))
        if len(kept) > self.steps + 1:
            raise self._root.error(f"{name}/steps", f"{len(kept)} steps of {self.steps}")
        steps = tuple(int(step) for step in self._values(f"{name}/steps", kept, ()))
        if any(a >= b for a, b in zip(steps, steps[1:], strict=False)) or not 0 <= steps[0] <= steps[-1] <= last:
            raise self._root.error(f"{name}/steps", f"{steps[:20]} are not ascending from 0 to {last} at most")
        return values, steps

    def _values(self, name: str, dataset: h5py.Dataset, selection: Any) -> Array:
        with translate_hdf5_errors(f"{self._source}: {name}"):
            chosen = selection if isinstance(selection, tuple) else (selection,)
            values: Array = read_values(dataset, chosen, f"{self._source}: {name}")
        numbers = widen_bfloat16(values) if values.dtype == np.uint16 else values
        if not (name.startswith("metrics/") or np.isfinite(numbers).all()):
            raise self._root.error(name, "holds numbers that are not finite")
        return numbers

    def x_t(self, step: int) -> Float[np.ndarray, "B C H W"]:
        """The states that are the input of `step`; N gives the final states. Raises StoreError if not stored."""
        return self._step("x_t", self._x_t, self.x_t_steps, step)

    def pred_x0(self, step: int) -> Float[np.ndarray, "B C H W"]:
        """The predictions of the clean pictures at `step`. Raises StoreError if not stored."""
        return self._step("pred_x0", self._pred_x0, self.pred_x0_steps, step)

    def _step(self, name: str, values: h5py.Dataset | None, steps: tuple[int, ...], step: int) -> Array:
        if values is None or step not in steps:
            stored = ", ".join(map(str, steps)) or "none"
            raise StoreError(f"{self._source}: {name} of step {step} is not stored; stored steps: {stored}")
        return self._values(name, values, steps.index(step))

    def sample(self, index: int) -> SampleSlice:
        """Read one sample of the batch. Raises StoreError for an index outside the batch."""
        if not 0 <= index < self._batch:
            raise StoreError(
                f"{self._source}: sample {index} is outside the batch; 0 to {self._batch - 1} are accepted"
            )
        column = (slice(None), index)
        return SampleSlice(
            index=index,
            x_t=None if self._x_t is None else self._values("x_t", self._x_t, column),
            x_t_steps=self.x_t_steps,
            pred_x0=None if self._pred_x0 is None else self._values("pred_x0", self._pred_x0, column),
            pred_x0_steps=self.pred_x0_steps,
            final=self._values("final", self._final, index),
        )

    @property
    def final(self) -> Float[np.ndarray, "B C H W"]:
        """The final pictures, in [-1, 1]."""
        return self._values("final", self._final, ())

    @property
    def inputs(self) -> UInt8[np.ndarray, "B h w 3"] | None:
        """The pictures of the stage before, which a baseline of a cascade was given; None without such a stage."""
        return None if self._inputs is None else self._values("inputs", self._inputs, ())

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Versions, git commit, device, dtype and weights digest of the run."""
        value = self._root.json("provenance")
        if not isinstance(value, dict):
            raise self._root.error("provenance", "is not a JSON object")
        return value

    @cached_property
    def distances(self) -> dict[DistanceName, Float32[np.ndarray, "computed_steps B"]]:
        """Distances to the baseline by name: row r belongs to step start + r. Empty for a baseline."""
        group = self._root.group("distances", "distances")
        shape = (self.steps - self.start, self._batch)
        names = group.names()
        stored = {name: group.array(name, "array", ("float32",), shape) for name in DISTANCES if name in names}
        return {name: self._values(f"distances/{name}", rows, ()) for name, rows in stored.items()}

    @cached_property
    def metrics(self) -> tuple[MetricValues, ...]:
        """Every metric, sorted by name."""
        group = self._root.group("metrics", "metrics")
        return tuple(self._metric(group, name) for name in group.names())

    def _metric(self, group: Element, name: str) -> MetricValues:
        dataset = group.metric(name)
        attributes = Element(dataset, self._source)
        absent = attributes.optional_attribute("absent", str)
        if absent is None and dataset.shape != (self._batch,):
            raise self._root.error(f"metrics/{name}", f"shape {dataset.shape} for {self._batch} conditions")
        try:
            info = MetricInfo(
                name=name,
                version=attributes.attribute("version", int),
                direction=attributes.attribute("direction", str),
                low=attributes.optional_attribute("low", float),
                high=attributes.optional_attribute("high", float),
                paired=bool(attributes.attribute("paired", int)),
                label=attributes.attribute("label", str),
                weights=attributes.optional_attribute("weights", str),
            )
            values = self._values(f"metrics/{name}", dataset, ()) if absent is None else None
            return MetricValues(info=info, values=values, absent=absent)
        except (ValidationError, PayloadError) as error:
            raise self._root.error(f"metrics/{name}", str(error).splitlines()[0]) from error

    def payload(self) -> UnitPayload:
        """Read the whole shard: the payload that was written, with bfloat16 as float32."""
        return UnitPayload(
            steps=self.steps,
            start=self.start,
            final=self.final,
            x_t=None if self._x_t is None else self._values("x_t", self._x_t, ()),
            x_t_steps=self.x_t_steps,
            pred_x0=None if self._pred_x0 is None else self._values("pred_x0", self._pred_x0, ()),
            pred_x0_steps=self.pred_x0_steps,
            output=None if self._output is None else self._values("output", self._output, ()),
            inputs=self.inputs,
            distances=self.distances,
            metrics=self.metrics,
            seconds=self.seconds,
            unet_evaluations=self.unet_evaluations,
            provenance=self.provenance,
        )
