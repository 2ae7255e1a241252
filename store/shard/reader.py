"""Reading one shard: small parts at once, latents and pictures as lazy slices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from pydantic import ValidationError

from store.errors import PayloadError, StoreError
from store.metric import MetricInfo, MetricValues
from store.records import Unit
from store.shard.elements import Elements, damage_named
from store.shard.encoding import ENCODING, ENCODING_VERSION
from store.shard.payload import (
    DISTANCES,
    LATENT_DTYPES,
    PICTURE_DTYPES,
    Array,
    DistanceName,
    UnitPayload,
    widen_bfloat16,
)


@dataclass(frozen=True, kw_only=True)
class StepSlice:
    """One step of all samples: `x_t` and `pred_x0` are (B, C, H, W), or None where they were not kept."""

    step: int
    x_t: Array | None
    pred_x0: Array | None


@dataclass(frozen=True, kw_only=True)
class SampleSlice:
    """One sample over the steps kept: `x_t` and `pred_x0` are (S', C, H, W) or None, `final` is (C, H, W)."""

    index: int
    x_t: Array | None
    x_t_steps: tuple[int, ...]
    pred_x0: Array | None
    pred_x0_steps: tuple[int, ...]
    final: Array


class UnitReader:
    """A shard open for reading; use it as a context manager.

    Attributes: `unit`; `steps` N; `start`, the first step that was really run; `seconds`; `unet_evaluations`;
    `settings_digest`; `x_t_steps` and `pred_x0_steps`, what was kept (empty if nothing). bfloat16 is given as float32.
    Every method raises ShardDamaged, naming file and element, for what no shard of ours holds.
    """

    def __init__(self, file: h5py.File, where: str) -> None:
        self._file = file
        self._root = Elements(file, where)
        self._where = where
        self._root.check_encoding("/", ENCODING, ENCODING_VERSION)
        self.unit = self._unit()
        self.steps: int = self._root.attribute("steps", int)
        self.start: int = self._root.attribute("start", int)
        self.seconds: float = self._root.attribute("seconds", float)
        self.unet_evaluations: int = self._root.attribute("unet_evaluations", int)
        self.settings_digest: str = self._root.attribute("settings", str)
        if not 0 <= self.start < self.steps <= 1_000_000:
            raise self._root.fail("start", f"{self.start} of {self.steps} steps")
        self._batch = len(self.unit.conditions)
        self._final = self._root.array("final", "pictures", PICTURE_DTYPES, (self._batch, None, None, None))
        self._x_t, self.x_t_steps = self._trajectory("x_t", self.steps)
        self._pred_x0, self.pred_x0_steps = self._trajectory("pred_x0", self.steps - 1)

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
            raise self._root.fail("unit", f"is {self.unit.key}, not {key} as the file's name says")

    def _unit(self) -> Unit:
        try:
            unit = Unit.model_validate(self._root.json("unit"))
        except ValidationError as error:
            raise self._root.fail("unit", f"is not a unit: {error.errors()[0]['msg']}") from error
        key, role = self._root.attribute("key", str), self._root.attribute("role", str)
        if (key, role) != (unit.key, unit.role):
            raise self._root.fail("unit", f"is {unit.role} {unit.key}, but the file says {role[:16]} {key[:64]}")
        return unit

    def _trajectory(self, name: str, last: int) -> tuple[h5py.Dataset | None, tuple[int, ...]]:
        if name not in self._root:
            return None, ()
        group = self._root.group(name, "trajectory")
        values = group.array("values", "latents", LATENT_DTYPES, (None, self._batch, None, None, None))
        kept = group.array("steps", "array", ("int64",), (values.shape[0],))
        if len(kept) > self.steps + 1:
            raise self._root.fail(f"{name}/steps", f"{len(kept)} steps of {self.steps}")
        steps = tuple(int(step) for step in self._values(f"{name}/steps", kept, ()))
        if any(a >= b for a, b in zip(steps, steps[1:], strict=False)) or not 0 <= steps[0] <= steps[-1] <= last:
            raise self._root.fail(f"{name}/steps", f"{steps[:20]} are not ascending from 0 to {last} at most")
        return values, steps

    def _values(self, name: str, dataset: h5py.Dataset, where: Any) -> Array:
        with self._guard(name):
            values: Array = dataset[where]
        return widen_bfloat16(values) if values.dtype == np.uint16 else values

    def _guard(self, name: str) -> Any:
        return damage_named(f"{self._where}: {name}")

    def x_t(self, step: int) -> Array:
        """(B, C, H, W): the state that is the input of `step`; N is the final state. Raises StoreError if not kept."""
        return self._step("x_t", self._x_t, self.x_t_steps, step)

    def pred_x0(self, step: int) -> Array:
        """(B, C, H, W): what `step` predicts of the clean picture. Raises StoreError if it was not kept."""
        return self._step("pred_x0", self._pred_x0, self.pred_x0_steps, step)

    def _step(self, name: str, values: h5py.Dataset | None, steps: tuple[int, ...], step: int) -> Array:
        if values is None or step not in steps:
            kept = f"kept are {', '.join(map(str, steps))}" if steps else "none were kept"
            raise StoreError(f"{self._where}: {name} of step {step} is not stored; {kept}")
        return self._values(name, values, steps.index(step))

    def step(self, step: int) -> StepSlice:
        """What was kept of one step, of all samples."""
        return StepSlice(
            step=step,
            x_t=self.x_t(step) if step in self.x_t_steps else None,
            pred_x0=self.pred_x0(step) if step in self.pred_x0_steps else None,
        )

    def sample(self, index: int) -> SampleSlice:
        """What was kept of one sample, over all steps. Raises StoreError for an index outside the batch."""
        if not 0 <= index < self._batch:
            raise StoreError(f"{self._where}: sample {index} is outside the batch; 0 to {self._batch - 1} are accepted")
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
    def final(self) -> Array:
        """(B, C, H, W): the final pictures, in [-1, 1]."""
        return self._values("final", self._final, ())

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Versions, git commit, device, dtype and weights digest of the run."""
        value = self._root.json("provenance")
        if not isinstance(value, dict):
            raise self._root.fail("provenance", "is not a JSON object")
        return value

    @cached_property
    def distances(self) -> dict[DistanceName, Array]:
        """(N - start, B) float32 each: row r belongs to step start + r. Empty for a baseline."""
        group = self._root.group("distances", "distances")
        shape = (self.steps - self.start, self._batch)
        names = group.names()
        known = {name: group.array(name, "array", ("float32",), shape) for name in DISTANCES if name in names}
        return {name: self._values(f"distances/{name}", rows, ()) for name, rows in known.items()}

    @cached_property
    def metrics(self) -> tuple[MetricValues, ...]:
        """Every metric, by name; an absent one says why."""
        group = self._root.group("metrics", "metrics")
        return tuple(self._metric(group, name) for name in group.names())

    def _metric(self, group: Elements, name: str) -> MetricValues:
        dataset = group.metric(name)
        about = Elements(dataset, self._where)
        absent = about.optional_attribute("absent", str)
        if absent is None and dataset.shape != (self._batch,):
            raise self._root.fail(f"metrics/{name}", f"shape {dataset.shape} for {self._batch} conditions")
        try:
            info = MetricInfo(
                name=name,
                version=about.attribute("version", int),
                direction=about.attribute("direction", str),
                low=about.optional_attribute("low", float),
                high=about.optional_attribute("high", float),
                paired=bool(about.attribute("paired", int)),
                label=about.attribute("label", str),
                weights=about.optional_attribute("weights", str),
            )
            values = self._values(f"metrics/{name}", dataset, ()) if absent is None else None
            return MetricValues(info=info, values=values, absent=absent)
        except (ValidationError, PayloadError) as error:
            raise self._root.fail(f"metrics/{name}", str(error).splitlines()[0]) from error

    def payload(self) -> UnitPayload:
        """The whole shard in memory, as it was handed over. bfloat16 comes back as float32."""
        return UnitPayload(
            steps=self.steps,
            start=self.start,
            final=self.final,
            x_t=None if self._x_t is None else self._values("x_t", self._x_t, ()),
            x_t_steps=self.x_t_steps,
            pred_x0=None if self._pred_x0 is None else self._values("pred_x0", self._pred_x0, ()),
            pred_x0_steps=self.pred_x0_steps,
            distances=self.distances,
            metrics=self.metrics,
            seconds=self.seconds,
            unet_evaluations=self.unet_evaluations,
            provenance=self.provenance,
        )
